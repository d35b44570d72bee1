"""What the job store answers when a job is cancelled or erased, and what it hands out to be erased elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from darkroom.contract.errors import JobCancelledError
from darkroom.contract.jobs import JobRecord


@dataclass(frozen=True, kw_only=True)
class Cancelled:
    """The call has ended the job."""

    record: JobRecord


@dataclass(frozen=True, kw_only=True)
class Erased:
    """The job was erased: nothing is known of it any more, and nothing is to be done for it."""

    record: JobRecord | None = None
    """The job that this call has ended: others may wait for its room (`record.makes_room`)."""


@dataclass(frozen=True, kw_only=True)
class Erasure:
    """What is to be erased outside of the store. Handed out until `erasure_done` is told of it."""

    job_id: UUID
    number: int
    """Grows each time it is handed out or queued; only the latest may be done."""
    only_results: bool
    """The job was cancelled, or its worker stored a result too late. Otherwise everything is to be erased."""
    original: str | None = None
    """Storage key of the original, where no other job uses it."""


def cancelled_error() -> JobCancelledError:
    return JobCancelledError("its owner cancelled the job")
