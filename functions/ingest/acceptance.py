"""Accepts a submission: check the header, store the original, write the job, write its keeper and emit its event.

Until the job is written nothing is promised. From then on the job ends, whatever else fails here: the event is in the
job's record (the outbox), and recovery emits it if ingest cannot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from darkroom import telemetry
from darkroom.adapters.jobs import Accepted, NewJob
from darkroom.adapters.jobs.admission import JobName
from darkroom.contract.errors import (
    BacklogFullError,
    DependencyUnavailableError,
    IdempotencyMismatchError,
    InputNotFoundError,
    QuotaExceededError,
)
from darkroom.contract.job_types import BACKGROUND
from darkroom.contract.jobs import JobRecord, original_key
from darkroom.events import tracing
from darkroom.imaging import CostClass, Facts, probe
from darkroom.serving.keepers import Keepers
from darkroom.serving.log import get_logger
from darkroom.serving.outbox import Outbox
from darkroom.serving.resources import Resources
from functions.ingest.checking import CheckedSubmission, check_submission
from functions.ingest.stored_pictures import StoredPictures
from functions.ingest.submission import Submission, job_name, own_job_id

log = get_logger()


@dataclass(frozen=True, kw_only=True)
class Caller:
    owner: str
    request_id: str
    weight: float = 1.0
    """The share of the turns in a lane that the key gets, compared with other keys."""
    in_background: bool = False
    """Nobody waits for what the request asks for."""


class Acceptance:
    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._limits = resources.settings.limits
        self.outbox = Outbox(resources)
        self._keepers = Keepers(resources)

    def stored_pictures(self) -> StoredPictures:
        """Make the lookup of stored pictures for one request."""
        return StoredPictures(self._resources.storage, self._limits)

    def check_room(self, owner: str, names: Sequence[JobName]) -> None:
        """Check that there is room for these requests, before anything is read or stored for them. Raises
        QuotaExceededError and BacklogFullError.
        """
        self._resources.jobs.admission(owner, names)

    def check(self, submission: Submission, pictures: StoredPictures) -> CheckedSubmission:
        """Check the picture by its header. Raises RejectedError or PictureError; nothing is written."""
        with telemetry.span("probe") as span:
            checked = check_submission(
                submission,
                self._facts(submission, pictures),
                self._limits,
                overlays={key: pictures.overlay_facts(key) for key in submission.parameters.overlay_keys},
            )
            facts = checked.facts
            span.set(content_type=facts.content_type, width_px=facts.width, height_px=facts.height)
        return checked

    def accept(self, submission: Submission, pictures: StoredPictures, caller: Caller) -> JobRecord:
        """Return the accepted job, or the first one of its idempotency key.

        Raises RejectedError, PictureError, BacklogFullError, or DependencyUnavailableError when nothing could be
        accepted.
        """
        self.check_room(caller.owner, [job_name(submission, caller.owner)])
        checked, job_id = self.check(submission, pictures), _job_id(submission, caller.owner)
        storage_key = submission.storage_key or self._store(checked, job_id)
        new = self._new_job(checked, caller, job_id=job_id, storage_key=storage_key)
        return self._write(new, stored=submission.storage_key is None)

    def accept_batch(self, checked: Sequence[CheckedSubmission], caller: Caller) -> list[JobRecord]:
        """Accept all jobs of a batch, or none; their pictures are in storage already. Raises as `accept` does."""
        jobs = [
            self._new_job(
                one, caller, job_id=_job_id(one.submission, caller.owner), storage_key=one.submission.storage_key or ""
            )
            for one in checked
        ]
        with telemetry.span("accept", jobs=len(jobs)):
            accepted = self._resources.jobs.accept_many(jobs)
        answered = list(zip(jobs, accepted, strict=True))
        with self._keepers.writing(answered):
            for new, answer in answered:
                self._go_on(new, answer)
        return [answer.record for answer in accepted]

    def _store(self, checked: CheckedSubmission, job_id: UUID) -> str:
        """Store the picture that came with the request. Returns its key."""
        submission, facts = checked.submission, checked.facts
        with telemetry.span("store", size_bytes=facts.input_bytes):
            if submission.streamed is not None:
                submission.streamed.upload.commit()
                return submission.streamed.storage_key
            storage_key = original_key(job_id, facts.extension)
            self._resources.storage.put(storage_key, submission.body or b"", content_type=facts.content_type)
            return storage_key

    def _new_job(self, checked: CheckedSubmission, caller: Caller, *, job_id: UUID, storage_key: str) -> NewJob:
        submission = checked.submission
        return NewJob(
            job_id=job_id,
            type=submission.type.name,
            owner=caller.owner,
            parameters=submission.canonical_parameters,
            presets=submission.presets,
            storage_key=storage_key,
            request_id=caller.request_id,
            cost_class=self._cost_class(checked, caller),
            turn=checked.cpu_ms / caller.weight,
            idempotency_key=submission.idempotency_key,
            fingerprint=submission.fingerprint(),
            original_bytes=0 if submission.storage_key else checked.facts.input_bytes,
            trace=_trace(),
            webhooks=self._resources.webhook_endpoints.subscriptions(caller.owner),
        )

    def _write(self, new: NewJob, *, stored: bool) -> JobRecord:
        try:
            with telemetry.span("accept", job_id=str(new.job_id), job_type=new.type):
                accepted = self._resources.jobs.accept(new)
        except (IdempotencyMismatchError, InputNotFoundError, QuotaExceededError, BacklogFullError):
            self._discard(new, stored)
            raise
        with self._keepers.writing([(new, accepted)]):
            self._go_on(new, accepted)
        if accepted.record.job_id != new.job_id:
            self._discard(new, stored)
        return accepted.record

    def _go_on(self, new: NewJob, accepted: Accepted) -> None:
        if accepted.created:
            log.info("job.accepted", job_id=str(new.job_id), type=new.type, request_id=new.request_id)
            self.outbox.emit(accepted.record)
        else:
            log.info("job.repeated", job_id=str(accepted.record.job_id), request_id=new.request_id)

    def _cost_class(self, checked: CheckedSubmission, caller: Caller) -> str:
        """Return the cost class. Hard pictures have Services of their own, so they never delay the easy ones; and so
        has what nobody waits for."""
        if not self._resources.settings.cost_classes:
            return CostClass.STANDARD
        if caller.in_background and checked.submission.type.in_background:
            return BACKGROUND
        return checked.cost_class

    def _facts(self, submission: Submission, pictures: StoredPictures) -> Facts:
        if submission.streamed is not None:
            return submission.streamed.facts
        if submission.body is not None:
            return probe(submission.body, self._limits, all_frames=False)
        return pictures.facts(submission.storage_key or "")

    def _discard(self, new: NewJob, stored: bool) -> None:
        """Delete an upload that no job refers to. If this fails, the lifecycle rule of `uploads/` expires it."""
        if not stored:
            return
        try:
            self._resources.storage.delete(new.storage_key)
        except DependencyUnavailableError as exc:
            log.warning("upload.orphaned", storage_key=new.storage_key, error=exc.detail)


def _job_id(submission: Submission, owner: str) -> UUID:
    if submission.streamed is not None:
        return submission.streamed.job_id
    return uuid4() if submission.job_id is None else own_job_id(submission.job_id, owner)


def _trace() -> str:
    """Return the request's trace, which all work for the job belongs to, however often it is repeated."""
    context = tracing.current()
    return "" if context is None else context.traceparent
