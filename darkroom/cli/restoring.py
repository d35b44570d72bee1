"""Rebuilds job records from storage: finds the keepers, joins them with the results, and has the store write records.

Both are listed in the order of their keys, which begin with the job's id, so one pass over each is enough, whatever
there is. Nothing is kept but the batch in hand. A run that was interrupted is run again: a job that has a record costs
no more than its place in the list.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TypeAlias
from uuid import UUID

from darkroom.adapters.jobs import JobStore, KeptJob, Restoration
from darkroom.adapters.jobs.keeper import MAX_BYTES, Keeper, KeeperUnreadableError, decode_keeper
from darkroom.adapters.storage import ListedObject, Storage
from darkroom.adapters.storage.retention import ORIGINALS, RESULTS
from darkroom.cli.restored_results import made_renditions, single_result
from darkroom.contract.errors import InputNotFoundError, InputTooLargeError
from darkroom.contract.jobs import keeper_key, rendition_names
from darkroom.contract.limits import Limits

BATCH = 200
READERS = 16
"""Requests to storage at a time."""
_ID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_KEEPER = re.compile(rf"{ORIGINALS}({_ID})/job\.json")
_RESULT = re.compile(rf"{RESULTS}({_ID})(?:/[a-z0-9_-]+)?\.\w+")
_FIRST_DIGITS = 8


@dataclass(frozen=True, kw_only=True)
class Retention:
    """How long what a restore looks for is kept; None: for ever."""

    records_s: float | None
    results_s: float | None


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which jobs are restored, and whether they are."""

    dry_run: bool = False
    since: datetime | None = None
    """Only jobs whose keeper was written at this time or later."""
    with_old: bool = False
    """Also jobs without a result that are older than RESULT_RETENTION."""


@dataclass
class Report:
    completed: int = 0
    queued: int = 0
    exists: int = 0
    expired: int = 0
    too_old: int = 0
    """Without a result, and older than RESULT_RETENTION: they may have completed."""
    unreadable: int = 0
    erased: int = 0
    """Erased while this ran."""
    took_s: float = 0.0

    @property
    def examined(self) -> int:
        return self.completed + self.queued + self.exists + self.expired + self.too_old + self.unreadable + self.erased


@dataclass(frozen=True, kw_only=True)
class Progress:
    share: float
    """How much of the keys has been listed, 0 to 1. Job ids are random, so the place of the last one shows it."""
    report: Report


@dataclass(frozen=True, kw_only=True)
class _Found:
    job_id: UUID
    keeper_at: datetime
    """When the keeper was stored."""
    results: Sequence[ListedObject]


_Answer: TypeAlias = KeptJob | str
"""A job that can be restored, or the field of the report that counts it."""


@dataclass
class Restoring:
    jobs: JobStore
    storage: Storage
    retention: Retention
    limits: Limits
    choice: Choice
    on_unreadable: Callable[[str, str], None]
    """Called with the key and the reason."""
    on_progress: Callable[[Progress], None] = lambda _progress: None
    clock: Callable[[], float] = time.time
    _report: Report = field(default_factory=Report)

    def run(self) -> Report:
        """Restore what the choice selects. Raises DependencyUnavailableError; run it again then."""
        began = time.monotonic()
        found = self._keepers()
        with ThreadPoolExecutor(READERS, thread_name_prefix="restore") as readers:
            while batch := list(islice(found, BATCH)):
                self._restore(batch, readers)
                self._report.took_s = time.monotonic() - began
                self.on_progress(Progress(share=_share(batch[-1].job_id), report=self._report))
        self._report.took_s = time.monotonic() - began
        return self._report

    def _keepers(self) -> Iterator[_Found]:
        """Yield the selected keepers, each with its job's results."""
        results = _matching(self.storage, RESULTS, _RESULT)
        result = next(results, None)
        for job_id, keeper in _matching(self.storage, ORIGINALS, _KEEPER):
            while result is not None and result[0] < job_id:
                result = next(results, None)
            own = list[ListedObject]()
            while result is not None and result[0] == job_id:
                own.append(result[1])
                result = next(results, None)
            if self.choice.since is None or keeper.stored_at >= self.choice.since:
                yield _Found(job_id=UUID(job_id), keeper_at=keeper.stored_at, results=own)

    def _restore(self, batch: Sequence[_Found], readers: ThreadPoolExecutor) -> None:
        missing = self.jobs.without_record([found.job_id for found in batch])
        self._count({"exists": len(batch) - len(missing)})
        answers = list(readers.map(self._read, [found for found in batch if found.job_id in missing]))
        kept = [answer for answer in answers if isinstance(answer, KeptJob)]
        self._count(Counter(answer for answer in answers if isinstance(answer, str)))
        outcomes = [self._foreseen(job) for job in kept] if self.choice.dry_run else self.jobs.restore(kept)
        self._count(Counter(str(outcome) for outcome in outcomes))

    def _read(self, found: _Found) -> _Answer:
        key = keeper_key(found.job_id)
        try:
            keeper = decode_keeper(self.storage.get(key, max_bytes=MAX_BYTES), found.job_id)
        except InputNotFoundError:
            return "erased"
        except (KeeperUnreadableError, InputTooLargeError) as exc:
            self.on_unreadable(key, str(exc))
            return "unreadable"
        kept = self._with_results(keeper, found)
        is_old = self._is_past(keeper.created_at, self.retention.results_s)
        if not kept.is_complete and is_old and not self.choice.with_old:
            return "too_old"
        return kept

    def _with_results(self, keeper: Keeper, found: _Found) -> KeptJob:
        kept = KeptJob(new=keeper.job, created_at=keeper.created_at)
        if rendition_names(keeper.job.parameters):
            made, at = made_renditions(found.results, keeper, found.keeper_at, self.storage, self.limits)
            kept = replace(kept, made=made)
        else:
            result, at = single_result(found.results, self.storage, self.limits)
            kept = replace(kept, result=result)
        return replace(kept, finished_at=at if kept.is_complete else None)

    def _foreseen(self, job: KeptJob) -> Restoration:
        """What the store would answer."""
        if job.finished_at is None:
            return Restoration.QUEUED
        is_expired = self._is_past(job.finished_at, self.retention.records_s)
        return Restoration.EXPIRED if is_expired else Restoration.COMPLETED

    def _is_past(self, moment: datetime, kept_s: float | None) -> bool:
        return kept_s is not None and moment + timedelta(seconds=kept_s) <= datetime.fromtimestamp(self.clock(), tz=UTC)

    def _count(self, counts: Counter[str] | dict[str, int]) -> None:
        for name, number in counts.items():
            setattr(self._report, name, getattr(self._report, name) + number)


def _matching(storage: Storage, prefix: str, pattern: re.Pattern[str]) -> Iterator[tuple[str, ListedObject]]:
    """Yield the objects whose keys match, with the job's id, in the order of the ids."""
    for page in storage.pages(prefix):
        for one in page:
            if match := pattern.fullmatch(one.key):
                yield match[1], one


def _share(job_id: UUID) -> float:
    return float(int(str(job_id)[:_FIRST_DIGITS], 16) / 16.0**_FIRST_DIGITS)
