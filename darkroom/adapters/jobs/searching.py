"""What an operator searches for among the jobs of all keys, and what a search answers.

A search reads what indexes give: when jobs were accepted, whose they are, and which of them are unfinished. Everything
else is compared job by job, a bounded number per call, and the answer says where to go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from darkroom.contract.jobs import JobRecord, JobStatus
from darkroom.contract.unreadable import UnreadableJob

if TYPE_CHECKING:
    from darkroom.adapters.jobs import JobCursor

MAX_READ = 1000
"""Records that one call reads and compares."""
MAX_LOOKED_AT = 2000
"""Entries of an index that one call looks at. Comparing ids needs no record, but Redis does nothing else meanwhile."""
MAX_OWNERS = 200
"""Keys whose jobs are merged in one search; those that posted last, where the store knows that."""


@dataclass(frozen=True, kw_only=True)
class JobSearch:
    """What a job has to be. A field that is not set admits all."""

    owner: str | None = None
    """The id of an API key; empty for jobs without one. None: of all keys."""
    status: JobStatus | None = None
    job_type: str | None = None
    error_code: str | None = None
    """Of the job's error, or of its latest attempt's."""
    id_prefix: str = ""
    """The beginning of the id, in lower case and with dashes where an id has them."""
    since: datetime | None = None
    """Accepted at this moment or later."""
    before: datetime | None = None
    """Accepted earlier than this."""

    def matches(self, record: JobRecord) -> bool:
        return (
            self.owner in {None, record.owner}
            and self.status in {None, record.status}
            and self.job_type in {None, record.type}
            and (self.error_code is None or (record.error is not None and record.error.code == self.error_code))
            and str(record.job_id).startswith(self.id_prefix)
            and (self.since is None or record.created_at >= self.since)
            and (self.before is None or record.created_at < self.before)
        )


@dataclass(frozen=True, kw_only=True)
class FoundJobs:
    """What one call found, newest first."""

    records: Sequence[JobRecord | UnreadableJob] = field(default_factory=list)
    next: JobCursor | None = None
    """Where the search continues; None when everything was looked at."""
    looked_at: int = 0
    """Jobs that were compared."""
    owners_left_out: int = 0
    """Keys whose jobs were not looked at, because there are more than MAX_OWNERS."""


def milliseconds_of(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
