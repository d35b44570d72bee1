"""Cancelling and erasing in PostgreSQL. The tombstones are described in migrations/0003_erased.sql."""

from __future__ import annotations

import secrets
from typing import Any
from uuid import UUID

from darkroom.adapters.jobs import AlreadyFinal, CancelAnswer, EraseAnswer, Unknown
from darkroom.adapters.jobs.erasing import Cancelled, Erased, Erasure, cancelled_error
from darkroom.adapters.jobs.postgres.connections import Connections
from darkroom.adapters.jobs.postgres.records import record_of
from darkroom.adapters.jobs.redis_scripts import error_text

_KEY_BYTES = 32


class PostgresErasing:
    """A part of PostgresJobStore, which makes the calls."""

    _connections: Connections

    def _call(self, function: str, *arguments: Any, patient: bool = False) -> Any:
        raise NotImplementedError

    def cancel(self, job_id: UUID, *, owner: str) -> CancelAnswer:
        answer = self._call("cancel", job_id, owner, error_text(cancelled_error()))
        match answer["code"]:
            case "cancelled":
                return Cancelled(record=record_of(answer["job"], makes_room=answer["room"]))
            case "final":
                return AlreadyFinal(record=record_of(answer["job"]))
        return Unknown()

    def erase(self, job_id: UUID, *, owner: str) -> EraseAnswer:
        key = secrets.token_hex(_KEY_BYTES)
        answer = self._call("erase", job_id, owner, error_text(cancelled_error()), key)
        if answer["code"] == "unknown":
            return Unknown()
        row = answer.get("job")
        return Erased(record=None if row is None else record_of(row, makes_room=answer["room"]))

    def is_erased(self, job_id: UUID) -> bool:
        return bool(self._connections.ask("SELECT darkroom.is_erased(%s)", (str(job_id),))[0][0])

    def due_erasures(self, *, limit: int) -> list[Erasure]:
        return [
            Erasure(job_id=UUID(job_id), number=number, only_results=only_results, original=original)
            for job_id, number, only_results, original in self._call("due_erasures", limit)
        ]

    def erasure_done(self, erasure: Erasure) -> None:
        self._call("erasure_done", erasure.job_id, erasure.number)
