"""Cancelling and erasing in Redis. The tombstones and the queue are described in lua/erasures.lua.

darkroom:erased:<hmac>          tombstone of a job, or of its original; expires after a day
darkroom:erasure-key            the key of the tombstones; expires after the last of them
darkroom:erasures               ids whose pictures and letters are to be erased, by when
darkroom:erasure:<id>           hash: what is to be erased of one
darkroom:used-by:<storage key>  set: the jobs that use a stored picture that is not their own (lua/originals.lua)
"""

from __future__ import annotations

import secrets
from typing import Any
from uuid import UUID

from darkroom.adapters.jobs import AlreadyFinal, CancelAnswer, EraseAnswer, Unknown
from darkroom.adapters.jobs.erasing import Cancelled, Erased, Erasure, cancelled_error
from darkroom.adapters.jobs.redis_records import record_of
from darkroom.adapters.jobs.redis_scripts import error_text

_KEY_BYTES = 32
"""Written in hexadecimal digits, of which there are as many as a block of SHA-1 has bytes."""


class RedisErasing:
    """A part of RedisJobStore, which runs the scripts."""

    def _script(self, name: str, *arguments: str | int, patient: bool = False) -> Any:
        raise NotImplementedError

    def cancel(self, job_id: UUID, *, owner: str) -> CancelAnswer:
        code, *rest = self._script("cancel", str(job_id), owner, error_text(cancelled_error()))
        match code:
            case "cancelled":
                return Cancelled(record=record_of(rest[0], job_id))
            case "final":
                return AlreadyFinal(record=record_of(rest[0], job_id))
        return Unknown()

    def erase(self, job_id: UUID, *, owner: str) -> EraseAnswer:
        key = secrets.token_hex(_KEY_BYTES)
        code, flat = self._script("erase", str(job_id), owner, error_text(cancelled_error()), key)
        if code == "unknown":
            return Unknown()
        return Erased(record=record_of(flat, job_id) if flat else None)

    def is_erased(self, job_id: UUID) -> bool:
        return bool(self._script("is_erased", str(job_id)))

    def due_erasures(self, *, limit: int) -> list[Erasure]:
        return [
            Erasure(job_id=UUID(job_id), number=number, only_results=scope == "results", original=original or None)
            for job_id, number, scope, original in self._script("due_erasures", limit)
        ]

    def erasure_done(self, erasure: Erasure) -> None:
        self._script("erasure_done", str(erasure.job_id), erasure.number)
