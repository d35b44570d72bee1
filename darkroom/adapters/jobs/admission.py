"""Whether there is room for another job, and when there will be: the arithmetic that every job store shares.

It is asked twice: `admission` before anything is read or stored, from numbers that may be a moment old, and `accept` in
the step that writes the jobs, where it counts.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar
from uuid import UUID

from darkroom.contract.errors import BacklogFullError, QuotaExceededError

DRAIN_STEP_S = 10
DRAIN_STEPS = 6
"""Ends are counted in steps over the last minute; by_owner.lua has the same numbers."""
MAX_MEMORY_SHARE = 0.85
"""Of the store's memory. What is left is for the jobs that are there: their results and their ends take memory too."""
FULL_MEMORY_RETRY_S = 60
"""Memory is freed by records that expire, which follows no rate that could be told."""
FACTS_KEPT_S = 0.2
_MAX_FACTS = 1000
_SHORTEST_WAIT_S, _LONGEST_WAIT_S = 1, 300
_SHORTEST_UNKNOWN_WAIT_S = 10

FactT = TypeVar("FactT")
Refusal: TypeAlias = QuotaExceededError | BacklogFullError


@dataclass(frozen=True, kw_only=True)
class BacklogLimits:
    """How many jobs may be unfinished; None: any number."""

    quota: int | None = None
    """Of one owner."""
    max_backlog: int | None = None
    """Of everybody."""


@dataclass(frozen=True, kw_only=True)
class JobName:
    """By what a repeated request finds the job that it made the first time."""

    idempotency_key: str | None = None
    job_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class BacklogLoad:
    """One owner's, or everybody's."""

    unfinished: int
    ended: int
    """Jobs that ended in the last minute."""
    within_s: float
    """The time since the first of them."""
    oldest_age_s: float
    """Age of everybody's oldest unfinished job."""


@dataclass(frozen=True, kw_only=True)
class BacklogFacts:
    mine: BacklogLoad
    all: BacklogLoad


NO_LOAD = BacklogLoad(unfinished=0, ended=0, within_s=0.0, oldest_age_s=0.0)


def over_limits(facts: BacklogFacts, limits: BacklogLimits, jobs: int) -> Refusal | None:
    """Return the refusal if there is no room for so many more jobs."""
    if limits.quota is not None and facts.mine.unfinished + jobs > limits.quota:
        return quota_exceeded(facts.mine, limits.quota, jobs)
    if limits.max_backlog is not None and facts.all.unfinished + jobs > limits.max_backlog:
        return backlog_full(facts.all, limits.max_backlog, jobs)
    return None


def quota_exceeded(load: BacklogLoad, limit: int, jobs: int) -> QuotaExceededError:
    wait_s, reason = _wait(load, limit, jobs)
    detail = f"this key has {load.unfinished} unfinished jobs and asks for {jobs} more, the limit is {limit}; {reason}"
    return QuotaExceededError(detail, retry_after_s=wait_s)


def backlog_full(load: BacklogLoad, limit: int, jobs: int) -> BacklogFullError:
    wait_s, reason = _wait(load, limit, jobs)
    detail = f"{load.unfinished} jobs are unfinished and {jobs} more are asked for, the limit is {limit}; {reason}"
    return BacklogFullError(detail, retry_after_s=wait_s)


def over_memory(used_bytes: int, max_bytes: int) -> BacklogFullError | None:
    """Return the refusal if the store has used too much of its memory; `max_bytes` 0 is no limit."""
    if not max_bytes or used_bytes <= MAX_MEMORY_SHARE * max_bytes:
        return None
    return BacklogFullError(
        f"the job store has used {used_bytes} of {max_bytes} bytes of memory, and takes no more jobs above "
        f"{MAX_MEMORY_SHARE:.0%}",
        retry_after_s=FULL_MEMORY_RETRY_S,
    )


def memory_exhausted() -> BacklogFullError:
    return BacklogFullError(
        "the job store has used all of its memory, and takes no more jobs", retry_after_s=FULL_MEMORY_RETRY_S
    )


def _wait(load: BacklogLoad, limit: int, jobs: int) -> tuple[int, str]:
    """Return after how many seconds another try is worth it, and why."""
    if jobs > limit:
        return _LONGEST_WAIT_S, "so many are never admitted at once: send less in one request"
    excess = load.unfinished + jobs - limit
    if load.ended == 0:
        # Nothing is known of how fast jobs end. What has taken so long may take as long again.
        wait_s = _between(_SHORTEST_UNKNOWN_WAIT_S, load.oldest_age_s)
        return wait_s, f"none ended in the last minute, and the oldest job is {load.oldest_age_s:.0f} s old"
    rate = load.ended / max(load.within_s, 1.0)
    wait_s = _between(_SHORTEST_WAIT_S, excess / rate)
    return wait_s, f"{load.ended} ended in the last {max(load.within_s, 1.0):.0f} s"


def _between(shortest_s: int, wait_s: float) -> int:
    return min(max(shortest_s, math.ceil(wait_s)), _LONGEST_WAIT_S)


class RecentFacts(Generic[FactT]):
    """Remembers each fact for a moment, so that a crowd of requests asks the store a few times a second. Safe to share
    between threads; two that arrive together may both ask."""

    def __init__(self, *, kept_s: float = FACTS_KEPT_S) -> None:
        self._kept_s = kept_s
        self._known: dict[str, tuple[float, FactT]] = {}

    def get(self, name: str, ask: Callable[[], FactT]) -> FactT:
        found = self._known.get(name)
        if found is not None and time.monotonic() - found[0] < self._kept_s:
            return found[1]
        fact = ask()
        if len(self._known) >= _MAX_FACTS:
            self._known = {}
        self._known[name] = (time.monotonic(), fact)
        return fact


class MemoryDrain:
    """The ends of the last minute, by owner, in steps as by_owner.lua counts them."""

    def __init__(self) -> None:
        self._steps: dict[int, dict[str, int]] = {}

    def count(self, owner: str, now_s: float) -> None:
        step = int(now_s // DRAIN_STEP_S)
        self._steps = {known: counts for known, counts in self._steps.items() if known > step - DRAIN_STEPS}
        counts = self._steps.setdefault(step, {})
        counts[owner] = counts.get(owner, 0) + 1

    def of(self, owner: str | None, now_s: float) -> tuple[int, float]:
        """Return how many of the owner's jobs, or of everybody's, ended in the last minute, and within how long."""
        latest = int(now_s // DRAIN_STEP_S)
        ended, since_s = 0, now_s
        for step in range(latest, latest - DRAIN_STEPS, -1):
            counts = self._steps.get(step, {})
            number = sum(counts.values()) if owner is None else counts.get(owner, 0)
            if number:
                ended, since_s = ended + number, float(step * DRAIN_STEP_S)
        return ended, now_s - since_s
