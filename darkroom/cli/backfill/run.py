"""Submits what is left of a run, follows each job to its end, and records it.

Threads speak with the API; this thread alone decides and writes the state. A thread that is interrupted loses nothing:
the next run repeats its request with the same idempotency key, and gets the same job.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from darkroom.cli.backfill.pace import Spacing, Yielding
from darkroom.cli.backfill.plan import Outcome, Task, outcomes_of, refused
from darkroom.cli.backfill.state import State
from darkroom.client import ApiError, Client, ClientError, JobState, NotAnsweringError, Stored

_JOB_WITHIN_S = 24 * 3600.0
_NOT_OF_THE_PICTURE = frozenset({401, 403, 408, 429, 500, 502, 503, 504})
_NOT_OF_THE_PICTURE_CODES = frozenset({"preset.unknown", "preset.required"})
"""Statuses and codes that would meet every other picture too."""


class BackfillStoppedError(Exception):
    """The API accepts or answers nothing at present. What was done is recorded."""


@dataclass(frozen=True, kw_only=True)
class _Accepted:
    task: Task
    job_id: str


@dataclass(frozen=True, kw_only=True)
class _Ended:
    task: Task
    job_id: str | None
    outcomes: list[Outcome]
    queued_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class _Stopped:
    reason: str


_Report: TypeAlias = _Accepted | _Ended | _Stopped


@dataclass
class Backfilling:
    client: Client
    """Shared by all threads; its retries decide how long an API that is busy is waited for."""
    state: State
    spacing: Spacing
    yielding: Yielding
    on_done: Callable[[list[Outcome]], None] = lambda _outcomes: None
    _tasks: queue.SimpleQueue[Task] = field(default_factory=queue.SimpleQueue)
    _reports: queue.SimpleQueue[_Report] = field(default_factory=queue.SimpleQueue)
    _under_way: int = 0

    def run(self) -> None:
        """Do what is left. Raises BackfillStoppedError."""
        for number in range(self.yielding.at_once):
            # As daemons, they do not delay the end of a command that is interrupted.
            threading.Thread(target=self._work, name=f"backfill-{number}", daemon=True).start()
        left = self.state.left()
        is_left = True
        while is_left or self._under_way:
            if is_left and self._under_way < self.yielding.allowed:
                is_left = self._hand_out_next(left)
            else:
                self._record(self._reports.get())

    def _hand_out_next(self, left: Iterator[Task]) -> bool:
        """Hand out the next task when it is time, and record meanwhile what ends. Returns whether there was one."""
        task = next(left, None)
        if task is None:
            return False
        while (wait_s := self.spacing.wait_s()) > 0:
            try:
                self._record(self._reports.get(timeout=wait_s))
            except queue.Empty:
                break
        self.spacing.begin()
        self._under_way += 1
        self._tasks.put(task)
        return True

    def _record(self, report: _Report) -> None:
        match report:
            case _Stopped():
                raise BackfillStoppedError(report.reason)
            case _Accepted():
                self.state.accepted(report.task, report.job_id)
            case _Ended():
                self.state.finished(report.task, report.job_id, report.outcomes)
                self._under_way -= 1
                if report.queued_s is not None:
                    self.yielding.ended(report.queued_s)
                self.on_done(report.outcomes)

    def _work(self) -> None:
        while True:
            task = self._tasks.get()
            try:
                self._reports.put(self._done(task))
            except NotAnsweringError as exc:
                self._reports.put(_Stopped(reason=str(exc)))
            except ClientError as exc:
                self._reports.put(_Stopped(reason=f"{task.storage_key}: {exc}"))
            except BaseException as exc:
                # The other thread would wait for ever.
                self._reports.put(_Stopped(reason=f"{task.storage_key}: {type(exc).__name__}: {exc}"))
                raise

    def _done(self, task: Task) -> _Ended:
        try:
            job = self._job_of(task)
        except ApiError as exc:
            if exc.status in _NOT_OF_THE_PICTURE or exc.code in _NOT_OF_THE_PICTURE_CODES:
                raise
            return _Ended(task=task, job_id=None, outcomes=refused(task, exc.code, exc.detail))
        queued_ms = job.document.get("timings_ms", {}).get("queued")
        return _Ended(
            task=task,
            job_id=job.job_id,
            outcomes=outcomes_of(task, job.document),
            queued_s=None if queued_ms is None else queued_ms / 1000,
        )

    def _job_of(self, task: Task) -> JobState:
        if task.job_id is not None:
            try:
                return self.client.end_of(task.job_id, timeout_s=_JOB_WITHIN_S)
            except ApiError as exc:
                if exc.status != 404:
                    raise
                # Its record has expired since the interruption.
        job_id = self.client.renditions(
            Stored(task.storage_key),
            presets=tuple(task.presets),
            idempotency_key=task.idempotency_key,
            background=True,
        ).job_id
        self._reports.put(_Accepted(task=task, job_id=job_id))
        return self.client.end_of(job_id, timeout_s=_JOB_WITHIN_S)
