"""A run as series over time: rates, counts, percentiles by moment. No drawing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import floor

from darkroom.contract.jobs import JobStatus
from loadtests.ledger import FollowedJob
from loadtests.percentiles import Spread
from loadtests.summary import RunSummary

_MOST_BINS = 120
_MOST_WINDOWS = 25
_FEWEST_JOBS = 5
"""A window with fewer jobs has no meaningful percentiles."""

Points = list[tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class Window:
    """The durations of the jobs that were submitted around one moment."""

    middle_s: float
    took_s: Spread


class Series:
    """All times are seconds after the first stage began."""

    def __init__(self, summary: RunSummary) -> None:
        self._summary = summary
        self._began_at = summary.began_at
        self.done_s = summary.ended_at - summary.began_at
        self.ended_s = max(summary.ended_at - summary.began_at, summary.shape.seconds)
        self.bin_s = float(max(1, round(self.ended_s / _MOST_BINS + 0.499)))

    def seconds(self, at: float) -> float:
        return at - self._began_at

    # --- from the ledger ---------------------------------------------------------------------------------------------

    def handed_in(self) -> Points:
        """Return the pictures in each bin, by their first POST."""
        return self._counted(self._summary.posted_at)

    def done(self) -> Points:
        completed = (job for job in self._summary.jobs if job.status is JobStatus.COMPLETED)
        return self._counted(job.ended_at for job in completed if job.ended_at is not None)

    def not_done_yet(self) -> Points:
        """Return the number of accepted jobs whose end nobody has seen, at each change."""
        changes = [(job.accepted_at, 1) for job in self._summary.jobs]
        changes += [(job.ended_at, -1) for job in self._summary.jobs if job.ended_at is not None]
        points, count = [(0.0, 0.0)], 0
        for at, change in sorted(changes):
            count += change
            points.append((self.seconds(at), float(count)))
        return points

    def took(self) -> dict[str, Points]:
        """Return each completed job, by kind: when it was submitted, and how long it took."""
        kinds: dict[str, Points] = {}
        for job in _timed(self._summary.jobs):
            kinds.setdefault(job.order, []).append((self.seconds(job.posted_at), job.took_s or 0.0))
        return kinds

    def windows(self) -> list[Window]:
        width_s = max(1.0, self._summary.shape.seconds / _MOST_WINDOWS)
        windows: dict[int, list[float]] = {}
        for job in _timed(self._summary.jobs):
            windows.setdefault(floor(self.seconds(job.posted_at) / width_s), []).append(job.took_s or 0.0)
        return [
            Window(middle_s=(number + 0.5) * width_s, took_s=Spread.of(values))
            for number, values in sorted(windows.items())
            if len(values) >= _FEWEST_JOBS
        ]

    def _counted(self, moments: Iterable[float]) -> Points:
        counts = Counter(floor(self.seconds(at) / self.bin_s) for at in moments)
        last = max([floor(self.ended_s / self.bin_s), *counts])
        return [(number * self.bin_s, float(counts[number])) for number in range(min([0, *counts]), last + 1)]

    # --- from the observations ---------------------------------------------------------------------------------------

    def broker_backlog(self) -> Points:
        if self._summary.observed is None:
            return []
        seen = self._summary.observed.observations
        return [(self.seconds(one.at), float(one.backlog)) for one in seen if one.backlog is not None]

    def instances(self) -> dict[str, tuple[Points, Points]]:
        """Return the wanted and ready instances of each Service that ever had or wanted one."""
        seen = [] if self._summary.observed is None else self._summary.observed.observations
        services = sorted({name for one in seen for name, count in (*one.wanted.items(), *one.ready.items()) if count})
        return {
            service: (
                [(self.seconds(one.at), float(one.wanted.get(service, 0))) for one in seen],
                [(self.seconds(one.at), float(one.ready.get(service, 0))) for one in seen],
            )
            for service in services
        }

    def capped(self) -> frozenset[str]:
        """Return the Services that were ever refused an instance by the local runtime's limit."""
        seen = [] if self._summary.observed is None else self._summary.observed.observations
        return frozenset().union(*(one.capped for one in seen))

    def cold_starts(self) -> dict[str, list[tuple[float, float | None]]]:
        """Return, by Service, when each instance was ready, and how long it took."""
        starts: dict[str, list[tuple[float, float | None]]] = {}
        for start in [] if self._summary.observed is None else self._summary.observed.cold_starts:
            starts.setdefault(start.service, []).append((self.seconds(start.at), start.took_s))
        return starts


def _timed(jobs: Sequence[FollowedJob]) -> list[FollowedJob]:
    return [job for job in jobs if job.status is JobStatus.COMPLETED and job.took_s is not None]
