"""Owed webhooks in PostgreSQL: calls of the functions in migrations/0010_owed.sql."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from darkroom.adapters.jobs.owed import (
    AT_ONCE_PER_ENDPOINT,
    SEND_LEASE_S,
    OwedState,
    OwedWebhook,
    SendOutcome,
)
from darkroom.adapters.jobs.postgres.connections import Connections
from darkroom.adapters.jobs.postgres.records import Row, record_of
from darkroom.adapters.jobs.redis_owed import UNREADABLE, UNREADABLE_WAIT_S
from darkroom.adapters.jobs.redis_scripts import compact, milliseconds
from darkroom.contract.errors import JobUnreadableError

_DUE = "SELECT endpoint, count(*) FROM darkroom.owed WHERE due <= darkroom.clock() GROUP BY endpoint"
_KEPT = "DELETE FROM darkroom.owed WHERE endpoint = %s AND webhook_id = %s AND given_up IS NOT NULL"
_OF_JOB = "SELECT to_jsonb(o) FROM darkroom.owed AS o WHERE job_id = %s ORDER BY since, webhook_id, endpoint"
_DROP = "WITH gone AS (DELETE FROM darkroom.owed WHERE job_id = %s RETURNING 1) SELECT count(*) FROM gone"


class PostgresOwedWebhooks:
    def __init__(self, call: Callable[..., Any], connections: Connections) -> None:
        """`call` takes a function's name and its arguments, and returns its answer."""
        self._call = call
        self._connections = connections

    def take(self, endpoint_id: str) -> OwedWebhook | None:
        while True:
            token = uuid.uuid4().hex[:16]
            row = self._call("take_owed", endpoint_id, token, milliseconds(SEND_LEASE_S), AT_ONCE_PER_ENDPOINT)
            if row is None:
                return None
            owed = self._owed(row, token=token)
            if owed is not None:
                return owed

    def settle(self, owed: OwedWebhook, outcome: SendOutcome, *, error: str = "", delay_s: float = 0.0) -> None:
        self._settle(owed.endpoint_id, owed.webhook_id, owed.token, owed.tries, outcome, error, delay_s)

    def due(self) -> dict[str, int]:
        return dict(self._connections.ask(_DUE))

    def given_up(self, *, limit: int) -> list[OwedWebhook]:
        found = (self._owed(row) for row in self._call("given_up_owed", limit))
        return [owed for owed in found if owed is not None]

    def kept(self, owed: OwedWebhook) -> None:
        self._connections.ask(_KEPT, (owed.endpoint_id, owed.webhook_id))

    def owe_again(self, webhook_id: str, endpoint_id: str, body: dict[str, Any]) -> bool:
        return bool(self._call("owe_again", endpoint_id, webhook_id, UUID(webhook_id[:36]), compact(body)))

    def of_job(self, job_id: UUID) -> Sequence[OwedState]:
        return [_state(row) for (row,) in self._connections.ask(_OF_JOB, (job_id,))]

    def drop_owed(self, job_id: UUID) -> int:
        return int(self._connections.ask(_DROP, (job_id,))[0][0])

    def _settle(
        self, endpoint: str, webhook_id: str, token: str, tries: int, outcome: SendOutcome, error: str, delay_s: float
    ) -> None:
        self._call("settle_owed", endpoint, webhook_id, token, tries, outcome.value, error, milliseconds(delay_s))

    def _owed(self, row: Row, *, token: str = "") -> OwedWebhook | None:
        """None: this version cannot read it, and it waits for one that can."""
        endpoint, webhook_id, tries = row["endpoint"], row["webhook_id"], row["tries"]
        try:
            body = _body(row["told"])
        except JobUnreadableError:
            if token:
                self._settle(endpoint, webhook_id, token, tries, SendOutcome.LATER, UNREADABLE, UNREADABLE_WAIT_S)
            return None
        return OwedWebhook(
            webhook_id=webhook_id,
            endpoint_id=endpoint,
            body=body,
            tries=tries,
            owed_since=datetime.fromisoformat(row["since"]),
            error=row["error"],
            token=token,
        )


def _body(told: Row) -> dict[str, Any]:
    """What is told: from the job's row as it was at its end, or as it was told before."""
    if "row" in told:
        return record_of(told["row"]).view()
    return dict(told["body"])


def _state(row: Row) -> OwedState:
    return OwedState(
        webhook_id=row["webhook_id"],
        endpoint_id=row["endpoint"],
        tries=row["tries"],
        owed_since=datetime.fromisoformat(row["since"]),
        next_try_at=None if row["due"] is None else datetime.fromisoformat(row["due"]),
        error=row["error"],
    )
