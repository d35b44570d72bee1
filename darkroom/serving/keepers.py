"""Writes jobs' keepers, the objects in storage from which `darkroom restore` rebuilds records that the store has lost.

A keeper is written after its job was accepted and before the caller is answered, while the job's event is emitted. So
nobody was promised a job that cannot be restored, and nothing is restored that was not accepted. A keeper that storage
does not take goes to the job store, and recovery's sweep brings it to storage.
"""

from __future__ import annotations

import contextvars
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from uuid import UUID

from darkroom import telemetry
from darkroom.adapters.jobs import Accepted, NewJob
from darkroom.adapters.jobs.keeper import CONTENT_TYPE, Keeper, encode_keeper
from darkroom.contract.errors import DependencyUnavailableError
from darkroom.contract.jobs import JobRecord, keeper_key
from darkroom.serving.log import get_logger
from darkroom.serving.resources import Resources

AT_ONCE = 16
"""Keepers that one process writes at a time."""

log = get_logger()


class Keepers:
    """Its threads begin when they are first needed: in gunicorn's worker, after the fork."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

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
        keeper = _keeper(new, accepted.record)
        key, body = keeper_key(keeper.job.job_id), encode_keeper(keeper)
        storage = self._resources.storage
        try:
            with telemetry.span("keep", job_id=str(keeper.job.job_id)):
                # A repeated request's job has its keeper, unless whoever accepted it died before that.
                if accepted.created or storage.info(key) is None:
                    storage.put(key, body, content_type=CONTENT_TYPE)
        except DependencyUnavailableError as exc:
            self._defer(keeper.job.job_id, body, exc)

    def _defer(self, job_id: UUID, body: bytes, error: DependencyUnavailableError) -> None:
        try:
            self._resources.jobs.owe_keeper(job_id, body)
        except DependencyUnavailableError as exc:
            # Both are away. The job is accepted and will end, but not if the store is lost before.
            log.error("keeper.missing", job_id=str(job_id), error=f"{error.detail}; {exc.detail}")
        else:
            log.warning("keeper.deferred", job_id=str(job_id), error=error.detail)


def _keeper(new: NewJob, record: JobRecord) -> Keeper:
    """Make the keeper. A repeated request finds the first one's job, which has its own id and its own original."""
    job = replace(
        new,
        job_id=record.job_id,
        parameters=record.parameters,
        storage_key=record.storage_key,
        request_id=record.request_id,
        cost_class=record.cost_class,
        trace=record.trace,
    )
    return Keeper(job=job, created_at=record.created_at)
