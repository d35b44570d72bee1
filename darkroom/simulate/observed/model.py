"""What every source of service times and cold starts becomes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class ObservedError(ValueError):
    """Observations that cannot be read, or of which there are none. The message says what was expected."""


@dataclass(frozen=True, kw_only=True)
class InstanceStart:
    took_s: float
    """From the start of the process, or the pod, until it was ready."""
    at_once: float = 1.0
    """How many starts of its Service were under way meanwhile on average, itself included."""


@dataclass(frozen=True, kw_only=True)
class Observed:
    """Measured values of one Service."""

    source: str
    service_s: Sequence[float] = ()
    """Seconds that an instance needed per request, without any wait for an instance."""
    starts: Sequence[InstanceStart] = ()


def with_at_once(starts: Iterable[tuple[float, float]]) -> tuple[InstanceStart, ...]:
    """Make starts of pairs of (ready at, took), in seconds; counts how many were under way at the same time."""
    spans = sorted((ready_at - took_s, ready_at) for ready_at, took_s in starts)
    return tuple(
        InstanceStart(took_s=ready_at - began_at, at_once=_under_way(began_at, ready_at, spans))
        for began_at, ready_at in spans
    )


def _under_way(began_at: float, ready_at: float, spans: Sequence[tuple[float, float]]) -> float:
    if ready_at <= began_at:
        return 1.0
    shared_s = sum(max(0.0, min(ready_at, other_ready) - max(began_at, other)) for other, other_ready in spans)
    return shared_s / (ready_at - began_at)
