"""Owed webhooks in Redis: calls of the scripts in the folder `lua`, which define what may follow what."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from darkroom.adapters.jobs.owed import (
    AT_ONCE_PER_ENDPOINT,
    SEND_LEASE_S,
    OwedState,
    OwedWebhook,
    SendOutcome,
)
from darkroom.adapters.jobs.redis_records import record_of
from darkroom.adapters.jobs.redis_scripts import compact, milliseconds
from darkroom.contract.errors import JobUnreadableError
from darkroom.contract.jobs import from_milliseconds

UNREADABLE = "job.unreadable"
UNREADABLE_WAIT_S = 300.0
"""How long a record of another version is left alone, for a version that can read it."""

RunScript = Callable[..., Any]
"""Takes a script's name and its arguments; returns its answer. Raises DependencyUnavailableError."""


class RedisOwedWebhooks:
    def __init__(self, run_script: RunScript) -> None:
        self._script = run_script

    def take(self, endpoint_id: str) -> OwedWebhook | None:
        while True:
            token = uuid.uuid4().hex[:16]
            found = self._script("take_owed", endpoint_id, token, milliseconds(SEND_LEASE_S), AT_ONCE_PER_ENDPOINT)
            if not found:
                return None
            webhook_id, *rest = found
            owed = self._owed(endpoint_id, webhook_id, *rest, token=token)
            if owed is not None:
                return owed

    def settle(self, owed: OwedWebhook, outcome: SendOutcome, *, error: str = "", delay_s: float = 0.0) -> None:
        self._settle(owed.endpoint_id, owed.webhook_id, owed.token, owed.tries, outcome, error, delay_s)

    def due(self) -> dict[str, int]:
        flat = self._script("due_owed")
        return {endpoint_id: int(count) for endpoint_id, count in zip(flat[::2], flat[1::2], strict=True)}

    def given_up(self, *, limit: int) -> list[OwedWebhook]:
        found = (self._owed(*entry) for entry in self._script("given_up_owed", limit))
        return [owed for owed in found if owed is not None]

    def kept(self, owed: OwedWebhook) -> None:
        self._script("kept_owed", owed.endpoint_id, owed.webhook_id)

    def owe_again(self, webhook_id: str, endpoint_id: str, body: dict[str, Any]) -> bool:
        return bool(self._script("owe_again", endpoint_id, webhook_id, compact(body)))

    def of_job(self, job_id: UUID) -> Sequence[OwedState]:
        states = [_state(*entry) for entry in self._script("owed_of", str(job_id))]
        return sorted(states, key=lambda state: (state.owed_since, state.webhook_id, state.endpoint_id))

    def drop_owed(self, job_id: UUID) -> int:
        return int(self._script("drop_owed", str(job_id)))

    def _settle(
        self, endpoint: str, webhook_id: str, token: str, tries: int, outcome: SendOutcome, error: str, delay_s: float
    ) -> None:
        self._script("settle_owed", endpoint, webhook_id, token, tries, outcome, error, milliseconds(delay_s))

    def _owed(
        self, endpoint: str, webhook_id: str, tries: int, since_ms: str, error: str, text: str, *, token: str = ""
    ) -> OwedWebhook | None:
        """None: this version cannot read it, and it waits for one that can."""
        try:
            body = _body(text, webhook_id)
        except JobUnreadableError:
            if token:
                self._settle(endpoint, webhook_id, token, int(tries), SendOutcome.LATER, UNREADABLE, UNREADABLE_WAIT_S)
            return None
        since = from_milliseconds(since_ms)
        if since is None:
            raise ValueError(f"{webhook_id} has no time since which it is owed")
        return OwedWebhook(
            webhook_id=webhook_id,
            endpoint_id=endpoint,
            body=body,
            tries=int(tries),
            owed_since=since,
            error=error,
            token=token,
        )


def _body(text: str, webhook_id: str) -> dict[str, Any]:
    """What is told: from the job's hash as it was at its end, which is a list, or as it was told before."""
    found = json.loads(text)
    if isinstance(found, list):
        return record_of(found, UUID(webhook_id[:36])).view()
    return dict(found)


def _state(endpoint: str, webhook_id: str, tries: int, since_ms: str, error: str, due_ms: str) -> OwedState:
    since = from_milliseconds(since_ms)
    if since is None:
        raise ValueError(f"{webhook_id} has no time since which it is owed")
    return OwedState(
        webhook_id=webhook_id,
        endpoint_id=endpoint,
        tries=int(tries),
        owed_since=since,
        next_try_at=None if due_ms == "" else from_milliseconds(round(float(due_ms))),
        error=error,
    )
