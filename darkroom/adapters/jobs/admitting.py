"""A part of a job store: whether there is room for new jobs, from numbers that may be a moment old."""

from __future__ import annotations

from collections.abc import Sequence

from darkroom.adapters.jobs.admission import (
    NO_LOAD,
    BacklogFacts,
    BacklogLimits,
    JobName,
    RecentFacts,
    Refusal,
    over_limits,
)


class AdmittingStore:
    """The stores say where the numbers come from, and what else may refuse jobs."""

    _limits: BacklogLimits
    _recent_facts: RecentFacts[BacklogFacts]

    def admission(self, owner: str, names: Sequence[JobName]) -> None:
        new = len(names)
        refused = self._refusal(self._recent_facts.get(owner, lambda: self._facts(owner, ())[0]), new)
        if refused is None:
            return
        if any(name.idempotency_key or name.job_id for name in names):
            facts, known = self._facts(owner, names)
            new -= known
            refused = self._refusal(facts, new)
        if refused is not None:
            self._count_refused(refused, new)
            raise refused

    def _refusal(self, facts: BacklogFacts, jobs: int) -> Refusal | None:
        return over_limits(facts, self._limits, jobs) if jobs else None

    def _facts(self, owner: str, names: Sequence[JobName]) -> tuple[BacklogFacts, int]:
        """The owner's load and everybody's, and how many of the named requests have their job already."""
        if self._limits == BacklogLimits() and not names:
            return BacklogFacts(mine=NO_LOAD, all=NO_LOAD), 0
        return self._ask_for_facts(owner, names)

    def _ask_for_facts(self, owner: str, names: Sequence[JobName]) -> tuple[BacklogFacts, int]:
        raise NotImplementedError

    def _count_refused(self, refused: Refusal, jobs: int) -> None:
        """Count them. They are refused in any case, so nothing is raised."""
        raise NotImplementedError
