"""What the autoscaler has decided for one Service within the last while, bounded in number.

Decisions come every two seconds. While nothing changes, only the first and the latest of them are kept, so that a
Service at rest costs nothing and its chart still reaches from end to end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from darkroom.local.revisions.autoscaler import Decision, Metrics, arithmetic_of
from darkroom.manifests.revision import ScalingConfig

MAX_KEPT = 1800
"""An hour of decisions of which no two are the same."""


@dataclass(frozen=True, kw_only=True)
class LoggedDecision:
    at: float
    """In seconds since the epoch."""
    config: ScalingConfig
    metrics: Metrics
    decision: Decision

    @property
    def sentence(self) -> str:
        return arithmetic_of(self.config, self.metrics, self.decision)

    def is_like(self, other: LoggedDecision) -> bool:
        return (self.metrics, self.decision, self.config) == (other.metrics, other.decision, other.config)


class DecisionLog:
    def __init__(self, max_kept: int = MAX_KEPT) -> None:
        self._kept: deque[LoggedDecision] = deque(maxlen=max_kept)

    def add(self, decided: LoggedDecision) -> None:
        kept = self._kept
        if len(kept) >= 2 and decided.is_like(kept[-1]) and decided.is_like(kept[-2]):
            kept[-1] = decided
        else:
            kept.append(decided)

    @property
    def latest(self) -> LoggedDecision | None:
        return self._kept[-1] if self._kept else None

    def since(self, at: float) -> Iterator[LoggedDecision]:
        """Yield the decisions from a time on, and the last one before it, which held until then."""
        before: LoggedDecision | None = None
        for decided in self._kept:
            if decided.at < at:
                before = decided
                continue
            if before is not None:
                yield before
                before = None
            yield decided
        if before is not None:
            yield before
