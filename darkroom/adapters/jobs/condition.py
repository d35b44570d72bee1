"""How a job store is doing, for people who ask what is wrong: its memory, its load, and jobs that were struck.

A job is struck when an attempt of it ended without reporting: its worker was killed, crashed or overran. Most often
that is the picture's doing, and the next attempts end the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from darkroom.adapters.jobs.admission import BacklogLoad
from darkroom.contract.errors import ImageCrashedError, JobTimeoutError
from darkroom.contract.jobs import JobRecord

STRUCK_CODES = (ImageCrashedError.code, JobTimeoutError.code)
EXAMINED = 500
"""Of the unfinished jobs of each status, the newest, among which those that were struck are looked for."""


@dataclass(frozen=True, kw_only=True)
class StoreCondition:
    used_bytes: int
    max_bytes: int
    """0: the store's memory has no limit of its own."""
    load: BacklogLoad
    """Everybody's."""
    struck: Sequence[JobRecord] = field(default_factory=tuple)
    """Unfinished jobs, newest first."""


def was_struck(record: JobRecord) -> bool:
    """Report whether one of the attempts that count ended so; those before a redrive do not."""
    counting = record.history[-record.attempts :] if record.attempts else ()
    return any(attempt.code in STRUCK_CODES for attempt in counting)
