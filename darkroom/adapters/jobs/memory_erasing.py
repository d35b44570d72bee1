"""Tombstones, the queue of erasures and the uses of stored pictures of the in-memory store: what lua/erasures.lua and
lua/originals.lua do, in Python. Nothing is keyed: whoever reads this memory has everything."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from darkroom.adapters.jobs import NewJob
from darkroom.adapters.jobs.erasing import Erasure
from darkroom.adapters.jobs.memory_job import MemoryJob
from darkroom.adapters.jobs.times import JobTimes

_ORIGINALS = "uploads/"
_MAKER = re.compile(r"uploads/([0-9a-f-]{36})/")


@dataclass
class _Queued:
    due_s: float
    again_s: float | None
    number: int = 0
    only_results: bool = True
    original: str | None = None


class MemoryErasures:
    def __init__(self, times: JobTimes) -> None:
        self._times = times
        self._tombstones: dict[str, tuple[str, float]] = {}
        """By a job's id or an original's key: the owner, and until when."""
        self._queue: dict[UUID, _Queued] = {}

    def bury(self, name: str, owner: str, now_s: float) -> None:
        self._tombstones[name] = (owner, now_s + self._times.tombstone_kept_s)

    def owner_of(self, name: str, now_s: float) -> str | None:
        """Return who erased it; None: nobody did, within a day."""
        owner, until_s = self._tombstones.get(name, (None, 0.0))
        return owner if now_s < until_s else None

    def queue(self, job_id: UUID, now_s: float, *, everything: bool = False, original: str | None = None) -> None:
        entry = self._queue.setdefault(job_id, _Queued(due_s=now_s, again_s=None))
        entry.number += 1
        entry.due_s, entry.again_s = now_s, now_s + self._times.erase_again_after_s
        entry.only_results = entry.only_results and not everything
        entry.original = original or entry.original

    def due(self, limit: int, now_s: float) -> list[Erasure]:
        due = sorted((entry.due_s, str(job_id), job_id) for job_id, entry in self._queue.items())
        return [self._hand_out(job_id, now_s) for due_s, _, job_id in due if due_s <= now_s][:limit]

    def _hand_out(self, job_id: UUID, now_s: float) -> Erasure:
        entry = self._queue[job_id]
        entry.number += 1
        entry.due_s = now_s + self._times.erase_within_s
        if entry.again_s is not None and now_s >= entry.again_s:
            entry.again_s = None
        return Erasure(job_id=job_id, number=entry.number, only_results=entry.only_results, original=entry.original)

    def done(self, erasure: Erasure) -> None:
        entry = self._queue.get(erasure.job_id)
        if entry is None or entry.number != erasure.number:
            return
        if entry.again_s is None:
            del self._queue[erasure.job_id]
        else:
            entry.due_s = entry.again_s


def free_original(job: MemoryJob, others: Mapping[UUID, MemoryJob]) -> str | None:
    """Return the key of the job's original, if it is ours to erase and no other job uses it."""
    key = job.new.storage_key
    if not key.startswith(_ORIGINALS):
        return None
    maker = _MAKER.match(key)
    is_used = any(
        (maker is not None and maker[1] == str(job_id)) or key in _pictures(other.new)
        for job_id, other in others.items()
        if job_id != job.new.job_id
    )
    return None if is_used else key


def _pictures(job: NewJob) -> set[str]:
    return {job.storage_key, *_storage_keys(job.parameters)}


def _storage_keys(value: Any) -> set[str]:
    if isinstance(value, Mapping):
        own = value.get("storage_key")
        found = {own} if isinstance(own, str) else set()
        return found.union(*map(_storage_keys, value.values()))
    return set()
