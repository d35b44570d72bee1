"""Webhooks that are owed, in two stores. Those of a job move with it; those of a job whose record is gone move
alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from darkroom.adapters.jobs.owed import OwedState, OwedWebhook, OwedWebhooks, SendOutcome

Bring = Callable[[UUID], object]
"""Has a job, and what is owed for it, in the new store."""


class MovingOwedWebhooks:
    def __init__(self, *, new: OwedWebhooks, old: OwedWebhooks, bring: Bring) -> None:
        self._new = new
        self._old = old
        self._bring = bring

    def take(self, endpoint_id: str) -> OwedWebhook | None:
        return self._new.take(endpoint_id) or self._old.take(endpoint_id)

    def settle(self, owed: OwedWebhook, outcome: SendOutcome, *, error: str = "", delay_s: float = 0.0) -> None:
        """Settle it where it is. It may have moved since it was taken; then only the new store knows it."""
        self._old.settle(owed, outcome, error=error, delay_s=delay_s)
        self._new.settle(owed, outcome, error=error, delay_s=delay_s)

    def due(self) -> dict[str, int]:
        return dict(Counter(self._new.due()) + Counter(self._old.due()))

    def given_up(self, *, limit: int) -> list[OwedWebhook]:
        found = self._new.given_up(limit=limit)
        return [*found, *self._old.given_up(limit=limit - len(found))] if len(found) < limit else found

    def kept(self, owed: OwedWebhook) -> None:
        self._old.kept(owed)
        self._new.kept(owed)

    def owe_again(self, webhook_id: str, endpoint_id: str, body: dict[str, Any]) -> bool:
        self._bring(UUID(webhook_id[:36]))
        return self._new.owe_again(webhook_id, endpoint_id, body)

    def of_job(self, job_id: UUID) -> Sequence[OwedState]:
        return [*self._old.of_job(job_id), *self._new.of_job(job_id)]

    def drop_owed(self, job_id: UUID) -> int:
        return self._old.drop_owed(job_id) + self._new.drop_owed(job_id)
