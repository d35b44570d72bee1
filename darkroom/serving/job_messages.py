"""Parses the job message of an event that requests a job, once, where the event arrives."""

from __future__ import annotations

from pydantic import ValidationError

from darkroom.contract.errors import EventInvalidError
from darkroom.contract.jobs import JobMessage
from darkroom.contract.parameters.parsing import field_errors
from darkroom.events.cloudevents import CloudEvent


def parse_message(event: CloudEvent) -> JobMessage:
    """Return the job message in an event's data. Raises EventInvalidError, which names every wrong field."""
    data = event.json()
    try:
        return JobMessage.model_validate(data)
    except ValidationError as exc:
        mistakes = "; ".join(f"{error.field}: {error.message}" for error in field_errors(exc))
        raise EventInvalidError(f"data does not follow the job message's schema: {mistakes}") from exc
