"""Job ids in paths. Text that is none gets the same answer as an id that no job has, and as another key's job."""

from __future__ import annotations

from uuid import UUID

from darkroom.contract.errors import JobNotFoundError


def job_id_of(text: str) -> UUID:
    """Parse a job id. Raises JobNotFoundError."""
    try:
        job_id = UUID(text)
    except ValueError as exc:
        raise job_not_found(text) from exc
    if str(job_id) != text:
        raise job_not_found(text)
    return job_id


def job_not_found(shown: str) -> JobNotFoundError:
    return JobNotFoundError(f"no job {shown[:64]!r}; jobs are kept for a limited time after they end")
