"""The job message in an event that asks for a job, parsed once, where the event arrives."""

from __future__ import annotations

from pydantic import ValidationError

from darkroom.contract.errors import EventInvalidError
from darkroom.contract.jobs import JobMessage
from darkroom.contract.parameters import field_errors
from darkroom.events.cloudevents import CloudEvent


def parse_message(event: CloudEvent) -> JobMessage:
    """The job message in an event's data; raises EventInvalidError that names every field that is wrong."""
    data = event.json()
    try:
        return JobMessage.model_validate(data)
    except ValidationError as exc:
        said = "; ".join(f"{error.field}: {error.message}" for error in field_errors(exc))
        raise EventInvalidError(f"data does not follow the job message's schema: {said}") from exc
