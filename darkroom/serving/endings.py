"""Cancels and erases jobs at their owner's wish.

Both are recorded in one step in the job store, which then answers as if an erased job had never been. Recovery erases
what is elsewhere. Only the keeper is deleted at once: if the store were lost, `darkroom restore` would make the job
anew of it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from darkroom.adapters.jobs import AlreadyFinal, Unknown
from darkroom.contract import events
from darkroom.contract.errors import DependencyUnavailableError, JobFinalError
from darkroom.contract.job_details import details
from darkroom.contract.jobs import JobRecord, keeper_key
from darkroom.serving.job_ids import job_not_found
from darkroom.serving.log import get_logger
from darkroom.serving.outbox import Outbox, lane_of
from darkroom.serving.resources import Resources

log = get_logger()


class JobEndings:
    def __init__(self, resources: Resources, outbox: Outbox) -> None:
        self._resources = resources
        self._outbox = outbox
        self._source = f"/darkroom/{resources.settings.service}"

    def cancel(self, job_id: UUID, *, owner: str) -> dict[str, Any]:
        """Cancel the owner's job, and return it as the API shows it.

        Raises JobNotFoundError, JobFinalError and DependencyUnavailableError.
        """
        answer = self._resources.jobs.cancel(job_id, owner=owner)
        if isinstance(answer, Unknown):
            raise job_not_found(str(job_id))
        record = answer.record
        if isinstance(answer, AlreadyFinal):
            raise JobFinalError(f"the job is {record.status} already, so there is nothing to cancel; erase it instead")
        log.info("job.cancelled", job_id=str(job_id))
        self._delete_keeper(job_id)
        self._hand_on_room(record)
        self._announce_end(record)
        return {**record.view(), **details(record, now=datetime.now(UTC))}

    def erase(self, job_id: UUID, *, owner: str) -> None:
        """Hide the owner's job for good; the rest is erased within a minute.

        Raises JobNotFoundError and DependencyUnavailableError.
        """
        answer = self._resources.jobs.erase(job_id, owner=owner)
        if isinstance(answer, Unknown):
            raise job_not_found(str(job_id))
        log.info("job.erasure_recorded", job_id=str(job_id))
        if answer.record is not None:
            self._hand_on_room(answer.record)
        self._delete_keeper(job_id)

    def _hand_on_room(self, record: JobRecord) -> None:
        if record.makes_room:
            self._outbox.advance(lane_of(record))

    def _announce_end(self, record: JobRecord) -> None:
        """Emit the event of the job's end. Best effort, like every reply: the job's record is authoritative."""
        try:
            self._resources.emitter.emit(events.ended(record, source=self._source))
        except DependencyUnavailableError as exc:
            log.warning("job.end_not_told", job_id=str(record.job_id), error=exc.detail)

    def _delete_keeper(self, job_id: UUID) -> None:
        try:
            self._resources.storage.delete(keeper_key(job_id))
        except DependencyUnavailableError as exc:
            log.warning("keeper.not_deleted", job_id=str(job_id), error=exc.detail)
