"""Owed webhooks in memory, for tests: what the Lua scripts do, in Python."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from darkroom.adapters.jobs.memory_job import moment
from darkroom.adapters.jobs.owed import (
    AT_ONCE_PER_ENDPOINT,
    SEND_LEASE_S,
    OwedState,
    OwedWebhook,
    SendOutcome,
)
from darkroom.contract import metrics
from darkroom.contract.jobs import JobRecord
from darkroom.telemetry.tally import Tally


@dataclass
class _Owed:
    body: dict[str, Any]
    since_s: float
    due_s: float
    tries: int = 0
    error: str = ""
    hand_out_s: float | None = None
    """When it was given up, or is handed out again to be kept."""


@dataclass
class MemoryOwedWebhooks:
    clock: Callable[[], float]
    tally: Tally
    keep_within_s: float
    lock: threading.RLock
    """The job store's."""
    _owed: dict[tuple[str, str], _Owed] = field(default_factory=dict)
    """By endpoint and webhook id, in the order in which they came to be owed."""
    _sending: dict[str, dict[str, float]] = field(default_factory=dict)

    def owe(self, record: JobRecord) -> None:
        """Owe the job's end to its subscribers; in the step that ends it."""
        for endpoint_id in record.told:
            self._write(endpoint_id, record.webhook_id, record.view())

    def take(self, endpoint_id: str) -> OwedWebhook | None:
        with self.lock:
            now_s = self.clock()
            sending = {token: until for token, until in self._sending.get(endpoint_id, {}).items() if until > now_s}
            self._sending[endpoint_id] = sending
            due = [(owed.due_s, name[1]) for name, owed in self._waiting(endpoint_id) if owed.due_s <= now_s]
            if len(sending) >= AT_ONCE_PER_ENDPOINT or not due:
                return None
            webhook_id = min(due)[1]
            token = uuid.uuid4().hex
            sending[token] = now_s + SEND_LEASE_S
            self._owed[endpoint_id, webhook_id].due_s = now_s + SEND_LEASE_S
            return self._as_owed((endpoint_id, webhook_id), token=token)

    def settle(self, owed: OwedWebhook, outcome: SendOutcome, *, error: str = "", delay_s: float = 0.0) -> None:
        with self.lock:
            self._sending.get(owed.endpoint_id, {}).pop(owed.token, None)
            there = self._owed.get((owed.endpoint_id, owed.webhook_id))
            if there is None or there.tries != owed.tries:
                return
            if outcome is SendOutcome.TOLD:
                self.tally.count(metrics.WEBHOOKS_SENT)
            else:
                self.tally.count(metrics.WEBHOOKS_FAILED, error)
            if outcome in {SendOutcome.TOLD, SendOutcome.REVOKED}:
                del self._owed[owed.endpoint_id, owed.webhook_id]
                return
            there.tries, there.error = there.tries + 1, error
            if outcome is SendOutcome.LATER:
                there.due_s = self.clock() + delay_s
            else:
                self.tally.count(metrics.WEBHOOKS_GIVEN_UP)
                there.hand_out_s = self.clock()

    def due(self) -> dict[str, int]:
        with self.lock:
            counts: dict[str, int] = {}
            for (endpoint_id, _), owed in self._owed.items():
                if owed.hand_out_s is None and owed.due_s <= self.clock():
                    counts[endpoint_id] = counts.get(endpoint_id, 0) + 1
            return counts

    def given_up(self, *, limit: int) -> list[OwedWebhook]:
        with self.lock:
            found = [
                name
                for name, owed in self._owed.items()
                if owed.hand_out_s is not None and owed.hand_out_s <= self.clock()
            ]
            for name in found[:limit]:
                self._owed[name].hand_out_s = self.clock() + self.keep_within_s
            return [self._as_owed(name) for name in found[:limit]]

    def kept(self, owed: OwedWebhook) -> None:
        with self.lock:
            there = self._owed.get((owed.endpoint_id, owed.webhook_id))
            if there is not None and there.hand_out_s is not None:
                del self._owed[owed.endpoint_id, owed.webhook_id]

    def owe_again(self, webhook_id: str, endpoint_id: str, body: dict[str, Any]) -> bool:
        with self.lock:
            there = self._owed.get((endpoint_id, webhook_id))
            if there is not None and there.hand_out_s is not None:
                del self._owed[endpoint_id, webhook_id]
            return self._write(endpoint_id, webhook_id, body)

    def of_job(self, job_id: UUID) -> Sequence[OwedState]:
        with self.lock:
            return [
                OwedState(
                    webhook_id=webhook_id,
                    endpoint_id=endpoint_id,
                    tries=owed.tries,
                    owed_since=moment(owed.since_s),
                    next_try_at=moment(owed.due_s) if owed.hand_out_s is None else None,
                    error=owed.error,
                )
                for (endpoint_id, webhook_id), owed in sorted(
                    self._owed.items(), key=lambda entry: (entry[1].since_s, entry[0][1], entry[0][0])
                )
                if webhook_id.startswith(str(job_id))
            ]

    def drop_owed(self, job_id: UUID) -> int:
        with self.lock:
            found = [name for name in self._owed if name[1].startswith(str(job_id))]
            for name in found:
                del self._owed[name]
            return len(found)

    def count_and_oldest_age_s(self) -> tuple[int, float]:
        """Return how many are owed and not given up, and how long the longest has been; 0 where nothing is owed."""
        since = [owed.since_s for owed in self._owed.values() if owed.hand_out_s is None]
        return len(since), self.clock() - min(since, default=self.clock())

    def _write(self, endpoint_id: str, webhook_id: str, body: dict[str, Any]) -> bool:
        if (endpoint_id, webhook_id) in self._owed:
            return False
        self._owed[endpoint_id, webhook_id] = _Owed(body=body, since_s=self.clock(), due_s=self.clock())
        return True

    def _waiting(self, endpoint_id: str) -> list[tuple[tuple[str, str], _Owed]]:
        return [(n, owed) for n, owed in self._owed.items() if n[0] == endpoint_id and owed.hand_out_s is None]

    def _as_owed(self, name: tuple[str, str], *, token: str = "") -> OwedWebhook:
        owed = self._owed[name]
        return OwedWebhook(
            webhook_id=name[1],
            endpoint_id=name[0],
            body=owed.body,
            tries=owed.tries,
            owed_since=moment(owed.since_s),
            error=owed.error,
            token=token,
        )
