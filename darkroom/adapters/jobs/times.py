"""The durations in a job's life: leases, waits and retention. Every job store uses this record."""

from __future__ import annotations

from dataclasses import dataclass

from darkroom.adapters.jobs import EMITTED_JOBS_DUE_AFTER_S, FINAL_JOBS_KEPT_S, LEASE_S, UNEMITTED_JOBS_DUE_AFTER_S

_HOUR_S = 3600
_DAY_S = 24 * _HOUR_S


@dataclass(frozen=True, kw_only=True)
class JobTimes:
    lease_s: float = LEASE_S
    emitted_due_after_s: float = EMITTED_JOBS_DUE_AFTER_S
    """Doubled with each emission."""
    unemitted_due_after_s: float = UNEMITTED_JOBS_DUE_AFTER_S
    dead_letter_wait_s: float = 15.0
    """A job's first dead letter emits it again at once, its second after this time. It doubles with each further
    one."""
    longest_wait_s: float = 3600.0
    """The upper limit of a doubled wait."""
    keep_within_s: float = 60.0
    """How long the receiver of a failed job has to store it with the dead letters, before it is handed out again."""
    erase_within_s: float = 20.0
    """How long a sweep has for what it was handed to erase, before another gets it."""
    erase_again_after_s: float = 25.0
    """When everything of a job is erased once more. Until then a worker may store what it had rendered when the job was
    hidden: 10 s after its claim at the latest, in a call that ends within 10 s."""
    tombstone_kept_s: float = float(_DAY_S)
    """How long it is known that a job was erased."""
    final_kept_s: float | None = FINAL_JOBS_KEPT_S
    """How long the record of a job is kept after its end, JOB_RETENTION; None: for ever."""

    @property
    def idempotency_kept_s(self) -> float:
        """How long an idempotency key names its job: a day, or as long as the job's record if that is shorter. It
        counts from the acceptance, so a job that waits or is retried has an hour until it ends."""
        return _DAY_S if self.final_kept_s is None else min(_DAY_S, self.final_kept_s + _HOUR_S)

    @property
    def indexed_s(self) -> float | None:
        """How long a job stays at most in its owner's list. It counts from the acceptance, so it is a day longer than
        the time that a final job is kept."""
        return None if self.final_kept_s is None else self.final_kept_s + _DAY_S
