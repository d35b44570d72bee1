"""How long things about a job last: leases, waits and what is kept. One record of them, for every job store."""

from __future__ import annotations

from dataclasses import dataclass

from darkroom.adapters.jobs import EMITTED_JOBS_DUE_AFTER_S, FINAL_JOBS_KEPT_S, LEASE_S, UNEMITTED_JOBS_DUE_AFTER_S

_DAY_S = 24 * 3600


@dataclass(frozen=True, kw_only=True)
class JobTimes:
    lease_s: float = LEASE_S
    emitted_due_after_s: float = EMITTED_JOBS_DUE_AFTER_S
    """Doubled with each emission."""
    unemitted_due_after_s: float = UNEMITTED_JOBS_DUE_AFTER_S
    dead_letter_wait_s: float = 15.0
    """The first dead letter of a job emits it again at once, its second after this time, doubled with each more."""
    longest_wait_s: float = 3600.0
    """No wait is doubled beyond this."""
    keep_within_s: float = 60.0
    """How long whoever was handed a failed job has to keep it with the dead letters, before it is handed out again."""
    final_kept_s: float = FINAL_JOBS_KEPT_S
    idempotency_kept_s: float = _DAY_S

    @property
    def indexed_s(self) -> float:
        """How long a job stays in its owner's list: from its acceptance, so a day longer than it is kept once final."""
        return self.final_kept_s + _DAY_S
