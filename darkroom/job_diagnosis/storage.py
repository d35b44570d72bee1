"""Storage that is slow, as the functions see it: how long they take to fetch originals and to store results."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from darkroom.contract import metrics
from darkroom.diagnosis import Finding
from darkroom.diagnosis.words import counted
from darkroom.telemetry.metric import Distribution, Readings

SLOW_S = 1.0
"""Of one fetch or store, on average. A picture of 4 MB takes a few hundredths of a second on one machine."""
LOOKED_BACK_S = 10.0
KEPT_S = 60.0
_STAGES = {"fetch": "fetching an original", "store": "storing a result"}

_Totals: TypeAlias = Mapping[str, tuple[int, float]]
"""By stage: how many there were, and how long they took together, in seconds."""


@dataclass(frozen=True, kw_only=True)
class _Snapshot:
    at: float
    totals: _Totals


class StorageLook:
    """Compares the counts with those of a moment ago, so the first look finds nothing."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._snapshots: deque[_Snapshot] = deque()

    def findings(self, readings: Readings) -> list[Finding]:
        now = _Snapshot(at=self._clock(), totals=_totals(readings))
        self._drop_old(now.at)
        before = self._snapshots[0] if self._snapshots else now
        self._snapshots.append(now)
        return list(_slow(before.totals, now.totals))

    def _drop_old(self, now: float) -> None:
        """Keep one from before the time that is looked back, so that who looks seldom has something to compare with."""
        while len(self._snapshots) > 1 and now - self._snapshots[1].at > LOOKED_BACK_S:
            self._snapshots.popleft()
        if self._snapshots and now - self._snapshots[0].at > KEPT_S:
            self._snapshots.clear()


def _slow(before: _Totals, now: _Totals) -> Iterator[Finding]:
    for stage, doing in _STAGES.items():
        number = now[stage][0] - before[stage][0]
        mean_s = (now[stage][1] - before[stage][1]) / number if number > 0 else 0.0
        if mean_s >= SLOW_S:
            yield Finding(
                code="storage.slow",
                severity="delay",
                subject=f"storage {stage}",
                sentence=(
                    f"S3 is slow: {doing} took {mean_s:.1f} s on average over the last {counted(number, 'job')}, where "
                    "hundredths of a second are usual. Each job holds a place meanwhile."
                ),
                remedy="Look at the S3 server, its disk and the network to it. A job that is cut short is tried again.",
            )


def _totals(readings: Readings) -> _Totals:
    totals = dict.fromkeys(_STAGES, (0, 0.0))
    for (_, stage), value in readings.get(metrics.JOB_STAGE_DURATION, {}).items():
        if stage in totals and isinstance(value, Distribution):
            number, sum_s = totals[stage]
            totals[stage] = number + value.count, sum_s + value.sum
    return totals
