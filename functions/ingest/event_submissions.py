"""CloudEvents as submissions: a single event, or a batch that is accepted as a whole or not at all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError

from darkroom.contract.errors import (
    DarkroomError,
    EventInvalidError,
    PictureError,
    RejectedError,
    UnknownJobTypeError,
)
from darkroom.contract.job_types import JobTypeName, job_type_of_event
from darkroom.contract.jobs import JobInput
from darkroom.contract.parameters.parsing import field_errors
from darkroom.events import cloudevents
from darkroom.events.cloudevents import CloudEvent
from functions.ingest.checking import CheckedSubmission
from functions.ingest.submission import Submission, idempotency_digest

MAX_EVENT_BYTES = 256 * 1024


MAX_BATCH_EVENTS = 100
"""Each is a picture to be checked before any is accepted."""


class _SubmittedJob(BaseModel):
    """The job message, in which a caller may omit what ingest fills in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    parameters: dict[str, Any]
    input: JobInput
    job_id: UUID | None = None
    type: JobTypeName | None = None
    metadata: dict[str, Any] | None = None


async def check_batch(
    body: bytes, check: Callable[[Submission], Awaitable[CheckedSubmission]]
) -> list[CheckedSubmission]:
    """Return the checked submissions of a batch in which every event is valid.

    Raises the error of the least valid event, with the verdict on each event; and DependencyUnavailableError where a
    dependency prevented the check.
    """
    parsed = cloudevents.parse_each(body)
    if len(parsed) > MAX_BATCH_EVENTS:
        raise EventInvalidError(f"the batch has {len(parsed)} events, the limit is {MAX_BATCH_EVENTS}")
    checked: list[CheckedSubmission] = []
    verdicts: list[DarkroomError | None] = []
    for event in parsed:
        try:
            found = await check(submission_of(_valid(event)))
        except (RejectedError, PictureError) as exc:
            verdicts.append(exc)
        else:
            verdicts.append(None)
            checked.append(found)
    _refuse_any(verdicts)
    return checked


def _refuse_any(verdicts: Sequence[DarkroomError | None]) -> None:
    """Raise the most serious error. An invalid event comes before an invalid picture of a valid event."""
    refused = [(error.status, index, error) for index, error in enumerate(verdicts) if error is not None]
    if refused:
        _, _, error = min(refused, key=lambda one: one[:2])
        error.batch_errors = tuple(verdicts)
        raise error


def _valid(event: CloudEvent | EventInvalidError) -> CloudEvent:
    if isinstance(event, EventInvalidError):
        raise event
    return event


def submission_of(event: CloudEvent) -> Submission:
    """Convert an event to a submission. Raises EventInvalidError, and ParametersInvalidError for its parameters.

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
    return Submission(
        type=job_type,
        parameters=job_type.parse(data.parameters),
        storage_key=data.input.storage_key,
        job_id=data.job_id,
        idempotency_key=idempotency_digest("event", event.source, event.id),
    )
