"""Drops the dead letters that a lost job store left behind: what they report is no longer so once the job is restored.

While its record was missing, an event of the job was rejected or could not be recovered. And a job that had been given
up is queued again; it gets another letter if it fails again.
"""

from __future__ import annotations

from uuid import UUID

from darkroom.adapters.deadletters import DeadLetters, KeptDeadLetter
from darkroom.adapters.jobs import JobStore
from darkroom.contract.errors import JobUnreadableError

_PAGE = 100


def drop_obsolete(letters: DeadLetters, jobs: JobStore) -> int:
    """Drop the letters of restored jobs that were kept before the restoration. Returns how many.

    Raises DependencyUnavailableError.
    """
    dropped, after = 0, 0
    while page := letters.list(limit=_PAGE, after=after):
        after = page[-1].sequence
        for kept in page:
            if _is_obsolete(kept, jobs):
                letters.drop(kept.sequence)
                dropped += 1
    return dropped


def _is_obsolete(kept: KeptDeadLetter, jobs: JobStore) -> bool:
    try:
        record = jobs.get(UUID(kept.letter.job_id or ""))
    except (ValueError, JobUnreadableError):
        return False
    return record is not None and record.restored_at is not None and kept.kept_at <= record.restored_at
