"""Two recorded runs side by side: what differs, by how much, and how certain that is. No drawing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from loadtests.errors import RecordingError
from loadtests.percentiles import percentile
from loadtests.recording import RecordedJob, Recording
from loadtests.resampling import CONFIDENCE, Difference, difference


class Unit(StrEnum):
    SECONDS = "seconds"
    RATIO = "ratio"


@dataclass(frozen=True, kw_only=True)
class ComparedValue:
    """One number of both runs. Less of it is better, unless it is a ratio of good ones."""

    name: str
    unit: Unit
    difference: Difference

    @property
    def verdict(self) -> str:
        """Say in words whether the second run is better or worse."""
        if not self.difference.is_certain:
            return "no difference that these runs can tell"
        is_better = (self.difference.change < 0) == (self.unit is Unit.SECONDS)
        return "better" if is_better else "worse"


@dataclass(frozen=True, kw_only=True)
class ComparedCount:
    """A count of both runs, which is a fact and not a sample."""

    name: str
    first: float
    second: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    first: Recording
    second: Recording
    values: Sequence[ComparedValue]
    counts: Sequence[ComparedCount]
    warnings: Sequence[str]


def compared(first: Recording, second: Recording) -> Comparison:
    """Compare two runs. Raises RecordingError if none of the jobs of one of them was completed."""
    for name, run in (("first", first), ("second", second)):
        if not _times(run.jobs):
            raise RecordingError(f"no job of the {name} run was completed: there are no times to compare")
    return Comparison(
        first=first,
        second=second,
        values=list(_values(first, second)),
        counts=list(_counts(first, second)),
        warnings=_warnings(first, second),
    )


def _values(first: Recording, second: Recording) -> Iterator[ComparedValue]:
    times = _times(first.jobs), _times(second.jobs)
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        yield _seconds(f"POST to done, {name}", *times, share=share)
    for order in _common_orders(first, second):
        ours, theirs = (_times([job for job in run.jobs if job.order == order]) for run in (first, second))
        yield _seconds(f"{order}, p50", ours, theirs, share=0.5)
    within_s = first.run.objective["within_s"]
    good = _good(first.jobs, within_s), _good(second.jobs, within_s)
    yield ComparedValue(
        name=f"done within {within_s:g} s", unit=Unit.RATIO, difference=difference(*good, lambda v: sum(v) / len(v))
    )


def _seconds(name: str, first: Sequence[float], second: Sequence[float], *, share: float) -> ComparedValue:
    found = difference(first, second, lambda values: percentile(values, share))
    return ComparedValue(name=name, unit=Unit.SECONDS, difference=found)


def _times(jobs: Sequence[RecordedJob]) -> list[float]:
    return [job.took_s for job in jobs if job.took_s is not None]


def _good(jobs: Sequence[RecordedJob], within_s: float) -> list[float]:
    asked = (job for job in jobs if job.outcome != "cut off")
    return [float(job.took_s is not None and job.took_s <= within_s) for job in asked]


def _common_orders(first: Recording, second: Recording) -> list[str]:
    ours, theirs = ({job.order for job in run.jobs if job.took_s is not None} for run in (first, second))
    return sorted(ours & theirs) if len(ours | theirs) > 1 else []


def _counts(first: Recording, second: Recording) -> Iterator[ComparedCount]:
    yield ComparedCount(name="pictures handed in", first=len(first.jobs), second=len(second.jobs))
    for outcome in ("completed", "failed", "refused", "lost", "stuck"):
        found = [sum(job.outcome == outcome for job in run.jobs) for run in (first, second)]
        if any(found) or outcome == "completed":
            yield ComparedCount(name=outcome, first=found[0], second=found[1])
    yield ComparedCount(name="seconds until the last was done", first=first.run.ended_s, second=second.run.ended_s)
    if first.instances and second.instances:
        yield ComparedCount(name="cold starts", first=len(first.cold_starts), second=len(second.cold_starts))
        ours, theirs = instance_seconds(first), instance_seconds(second)
        for service in sorted(ours.keys() | theirs.keys()):
            yield ComparedCount(
                name=f"instance seconds, {service}", first=ours.get(service, 0.0), second=theirs.get(service, 0.0)
            )


def instance_seconds(run: Recording) -> dict[str, float]:
    """Return for how long each Service had ready instances, times how many: what its pods cost."""
    seconds: dict[str, float] = {}
    before: dict[str, tuple[float, int]] = {}
    for row in run.instances:
        at_s, ready = before.get(row.service, (row.at_s, 0))
        seconds[row.service] = seconds.get(row.service, 0.0) + ready * (row.at_s - at_s)
        before[row.service] = row.at_s, row.ready or 0
    return {service: round(value, 1) for service, value in seconds.items()}


def _warnings(first: Recording, second: Recording) -> list[str]:
    """Return what makes the comparison unfair, or less certain than its numbers look."""
    differing = [
        f"{name}: {ours} and {theirs}"
        for name in ("shape", "scale", "stretch", "seed", "generators")
        if (ours := getattr(first.run, name)) != (theirs := getattr(second.run, name))
    ]
    warnings = [f"the runs are not of the same load ({', '.join(differing)})"] if differing else []
    if any(run.run.interrupted for run in (first, second)):
        warnings.append("a run was ended early")
    if not all(run.run.passed for run in (first, second)):
        failed = " and ".join(name for name, run in (("A", first), ("B", second)) if not run.run.passed)
        warnings.append(f"{failed} did not pass: slow or lost jobs may be missing from its times")
    warnings.append(
        f"the intervals ({CONFIDENCE * 100:g} %) say what chance within these two runs explains; how much one run "
        "differs from the next on the same machine, only more runs of each can tell"
    )
    return warnings
