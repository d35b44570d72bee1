"""Recognises rejected events of jobs that the store had lost and that are restored: those jobs are well."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from darkroom.adapters.jobs import JobStore
from darkroom.contract.errors import JobUnreadableError
from darkroom.contract.job_types import EVENT_TYPES
from darkroom.events.cloudevents import CloudEvent


def is_obsolete(rejection: CloudEvent, jobs: JobStore) -> bool:
    """Return whether the rejected event was emitted before its job was restored, which has been emitted anew since.

    Raises DependencyUnavailableError.
    """
    data: Any = rejection.json()
    event = data.get("event") if isinstance(data, dict) else None
    if not isinstance(event, dict) or event.get("type") not in EVENT_TYPES:
        return False
    try:
        record = jobs.get(UUID(str(event.get("subject"))))
    except (ValueError, JobUnreadableError):
        return False
    return record is not None and record.restored_at is not None and not record.has_emitted(str(event.get("id")))
