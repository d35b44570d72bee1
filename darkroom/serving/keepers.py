"""Writes jobs' keepers, the objects in storage from which `darkroom restore` rebuilds records that the store has lost.

A keeper is written after its job was accepted and before the caller is answered, while the job's event is emitted. So
nobody was promised a job that cannot be restored, and nothing is restored that was not accepted. If storage takes no
keeper, the job goes on all the same, and this process tries again until storage does.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from uuid import UUID

from darkroom import telemetry
from darkroom.adapters.jobs import Accepted, NewJob
from darkroom.adapters.jobs.keeper import CONTENT_TYPE, Keeper, encode_keeper
from darkroom.contract.errors import DependencyUnavailableError, JobUnreadableError
from darkroom.contract.jobs import JobRecord, keeper_key
from darkroom.serving.log import get_logger
from darkroom.serving.resources import Resources

AT_ONCE = 16
"""Keepers that one process writes at a time."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 10.0
"""Between attempts to write what storage did not take; doubled each time."""
MAX_OWED = 1000
"""Keepers that a process remembers while storage is away."""

log = get_logger()


class Keepers:
    """Its threads begin when they are first needed: in gunicorn's worker, after the fork."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._lock = threading.Lock()
        self._owed: dict[UUID, NewJob] = {}
        self._is_any = threading.Event()
        self._thread: threading.Thread | None = None

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(AT_ONCE, thread_name_prefix="keepers")

    @contextmanager
    def writing(self, jobs: Sequence[tuple[NewJob, Accepted]]) -> Iterator[None]:
        """Write the keepers of accepted jobs beside what the block does. They are written when it ends."""
        pending = [self._submit(new, accepted) for new, accepted in jobs]
        try:
            yield
        finally:
            for written in pending:
                written.result()

    def _submit(self, new: NewJob, accepted: Accepted) -> Future[None]:
        # Each call needs a context of its own, so that its span is the request's.
        return self._pool.submit(contextvars.copy_context().run, self._write, new, accepted)

    def _write(self, new: NewJob, accepted: Accepted) -> None:
        record = accepted.record
        # A repeated request finds the first one's job, which has its own id and its own original.
        job = replace(
            new,
            job_id=record.job_id,
            parameters=record.parameters,
            storage_key=record.storage_key,
            request_id=record.request_id,
            cost_class=record.cost_class,
            trace=record.trace,
        )
        try:
            with telemetry.span("keep", job_id=str(job.job_id)):
                if accepted.created or not self._is_kept(job.job_id):
                    self._put(Keeper(job=job, created_at=record.created_at))
        except DependencyUnavailableError as exc:
            log.warning("keeper.deferred", job_id=str(job.job_id), error=exc.detail)
            self._owe(job)

    def _is_kept(self, job_id: UUID) -> bool:
        return self._resources.storage.info(keeper_key(job_id)) is not None

    def _put(self, keeper: Keeper) -> None:
        self._resources.storage.put(keeper_key(keeper.job.job_id), encode_keeper(keeper), content_type=CONTENT_TYPE)

    def _owe(self, job: NewJob) -> None:
        with self._lock:
            if len(self._owed) < MAX_OWED:
                self._owed[job.job_id] = job
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="owed-keepers", daemon=True)
                self._thread.start()
        self._is_any.set()

    def _run(self) -> None:
        wait_s, pause = FIRST_WAIT_S, threading.Event()
        while True:
            self._is_any.wait()
            self._is_any.clear()
            pause.wait(wait_s)
            try:
                self._write_owed()
                wait_s = FIRST_WAIT_S
            except DependencyUnavailableError:
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)
                self._is_any.set()

    def _write_owed(self) -> None:
        while (job := self._first_owed()) is not None:
            # By its record as it is now: the job may have been redriven with other parameters, or erased.
            record = self._record(job.job_id)
            if record is not None:
                self._put(Keeper(job=replace(job, parameters=record.parameters), created_at=record.created_at))
                log.info("keeper.written_late", job_id=str(job.job_id))
            with self._lock:
                self._owed.pop(job.job_id, None)

    def _record(self, job_id: UUID) -> JobRecord | None:
        try:
            return self._resources.jobs.get(job_id)
        except JobUnreadableError:
            return None  # Another version has taken it over.

    def _first_owed(self) -> NewJob | None:
        with self._lock:
            return next(iter(self._owed.values()), None)
