"""CloudEvents as submissions: a single event, or a batch that is accepted as a whole or not at all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError

from darkroom.adapters.jobs.admission import JobName
from darkroom.contract.errors import (
    EventInvalidError,
    PictureError,
    RejectedError,
    UnknownJobTypeError,
)
from darkroom.contract.job_types import JobTypeName, job_type_of_event
from darkroom.contract.jobs import JobInput
from darkroom.contract.parameters.parsing import field_errors
from darkroom.contract.requests import RequestRules
from darkroom.events import cloudevents
from darkroom.events.cloudevents import CloudEvent
from functions.ingest.submission import Submission, idempotency_digest, job_name

Judged = TypeVar("Judged")

MAX_EVENT_BYTES = 256 * 1024

MAX_BATCH_EVENTS = 100
"""Each is a picture to be checked before any is accepted."""


class _SubmittedJob(BaseModel):
    """The job message, in which a caller may omit what ingest fills in, and name a preset."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    parameters: dict[str, Any] | None = None
    preset: str | None = None
    input: JobInput
    job_id: UUID | None = None
    type: JobTypeName | None = None
    metadata: dict[str, Any] | None = None


class Batch:
    """The events of a batch, judged in steps: each step sees only what the steps before it left valid."""

    def __init__(self, events: Sequence[CloudEvent | EventInvalidError], rules: RequestRules) -> None:
        self._submissions: dict[int, Submission] = {}
        self._verdicts: list[RejectedError | PictureError | None] = [None] * len(events)
        for index, event in enumerate(events):
            try:
                self._submissions[index] = submission_of(_valid(event), rules)
            except RejectedError as exc:
                self._verdicts[index] = exc

    @property
    def jobs(self) -> int:
        """How many jobs the batch asks for. One that is refused already asks for one, as any request does."""
        return max(1, len(self._verdicts)) if not any(self._verdicts) else 1

    def names(self, owner: str) -> list[JobName]:
        """Return by what repetitions of the valid events find their jobs. An event that is there twice has one job."""
        return list({job_name(submission, owner): None for submission in self._submissions.values()})

    async def judge(self, check: Callable[[Submission], Awaitable[Judged]]) -> list[Judged]:
        """Return what `check` found, for each event that is valid until now. Its RejectedError or PictureError is the
        verdict on the event; DependencyUnavailableError is raised.
        """
        found = []
        for index, submission in list(self._submissions.items()):
            try:
                found.append(await check(submission))
            except (RejectedError, PictureError) as exc:
                self._verdicts[index] = exc
                del self._submissions[index]
        return found

    def refuse_any(self) -> None:
        """Raise the most serious error, if any, with the verdict on each event. An invalid event comes before an
        invalid picture of a valid event.
        """
        refused = [(error.status, index, error) for index, error in enumerate(self._verdicts) if error is not None]
        if refused:
            _, _, error = min(refused, key=lambda one: one[:2])
            # Events that name the same picture share its error, and the document points at the first of them.
            error.batch_errors = tuple(self._verdicts)
            raise error


def read_batch(body: bytes, rules: RequestRules) -> Batch:
    """Parse a batch. Raises EventInvalidError if it is none, or has too many events."""
    parsed = cloudevents.parse_each(body)
    if len(parsed) > MAX_BATCH_EVENTS:
        raise EventInvalidError(f"the batch has {len(parsed)} events, the limit is {MAX_BATCH_EVENTS}")
    return Batch(parsed, rules)


def _valid(event: CloudEvent | EventInvalidError) -> CloudEvent:
    if isinstance(event, EventInvalidError):
        raise event
    return event


def submission_of(event: CloudEvent, rules: RequestRules) -> Submission:
    """Convert an event to a submission. Raises EventInvalidError, and for its parameters what `RequestRules` raises.

    An event is identified by its source and id (CloudEvents core 3.1), so the same event again is the same job.
    """
    try:
        job_type = job_type_of_event(event.type)
    except UnknownJobTypeError as exc:
        raise EventInvalidError(str(exc)) from exc
    try:
        data = _SubmittedJob.model_validate(event.json())
    except ValidationError as exc:
        mistakes = "; ".join(f"{error.field}: {error.message}" for error in field_errors(exc))
        raise EventInvalidError(f"data does not follow the job message's schema: {mistakes}") from exc
    if data.type not in {None, job_type.name}:
        raise EventInvalidError(f"the event's type asks for {job_type.name}, its data's type for {data.type}")
    if data.parameters is None and data.preset is None:
        raise EventInvalidError(
            "data does not follow the job message's schema: parameters: Field required, or a preset"
        )
    return Submission(
        type=job_type,
        asked=rules.resolve(job_type, data.parameters or {}, preset=data.preset),
        storage_key=data.input.storage_key,
        job_id=data.job_id,
        idempotency_key=idempotency_digest("event", event.source, event.id),
    )
