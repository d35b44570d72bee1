"""Writes the keepers that storage did not take when their jobs were accepted."""

from __future__ import annotations

import time
from uuid import UUID

from darkroom.adapters.jobs.keeper import CONTENT_TYPE
from darkroom.contract.errors import JobUnreadableError
from darkroom.contract.jobs import keeper_key
from darkroom.serving.log import get_logger
from darkroom.serving.resources import Resources

AT_ONCE = 50
WRITING_BUDGET_S = 10.0
"""The longest time in one sweep; what is left is for the next."""

log = get_logger()


class OwedKeepers:
    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    def write_all(self) -> None:
        """Write what is owed, until nothing is or the time is up. Raises DependencyUnavailableError."""
        ends_at, jobs = time.monotonic() + WRITING_BUDGET_S, self._resources.jobs
        while owed := jobs.owed_keepers(limit=AT_ONCE):
            for job_id, body in owed.items():
                if time.monotonic() >= ends_at:
                    return
                self._write(job_id, body)
                jobs.keeper_written(job_id)

    def _write(self, job_id: UUID, body: bytes) -> None:
        storage, key = self._resources.storage, keeper_key(job_id)
        # One that is there is newer: a redrive changed the parameters. A job that is gone was erased or has expired.
        if self._has_record(job_id) and storage.info(key) is None:
            storage.put(key, body, content_type=CONTENT_TYPE)
            log.info("keeper.written_late", job_id=str(job_id))

    def _has_record(self, job_id: UUID) -> bool:
        try:
            return self._resources.jobs.get(job_id) is not None
        except JobUnreadableError:
            return True
