"""How long originals are kept, compared with the jobs and the events that still need them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

from darkroom.events.durations import parse_retention
from darkroom.manifests.platform.bundle import Bundle, Manifest, seconds
from darkroom.manifests.platform.rule import RuleViolation, rule
from darkroom.manifests.platform.rules.timing import GOOD as GOOD_TIMING
from darkroom.manifests.platform.rules.timing import paths
from darkroom.manifests.platform.rules.workers import shared_settings
from darkroom.manifests.platform.severity import Severity

_ORIGINALS, _JOBS = "ORIGINAL_RETENTION", "JOB_RETENTION"
_DAY_S = 86400
_CONTAINERS = ("spec", "template", "spec", "containers")
_KEPT = "[{name: JOB_TIMEOUT, value: 30s}, {name: ORIGINAL_RETENTION, value: 8d}, {name: JOB_RETENTION, value: 7d}]"

GOOD = GOOD_TIMING.replace("[{name: JOB_TIMEOUT, value: 30s}]", _KEPT)


@dataclass(frozen=True, kw_only=True)
class _Kept:
    text: str

    @property
    def seconds(self) -> float:
        kept_s = parse_retention(self.text)
        return inf if kept_s is None else kept_s


@rule(
    "original-retention",
    Severity.ERROR,
    "originals are deleted while jobs that may need them are kept",
    on_the_cluster="The functions refuse to start with these settings: a job that is redriven would find no original.",
    fix="Set ORIGINAL_RETENTION to at least JOB_RETENTION; a day more leaves time for the job itself.",
    bad=GOOD.replace("value: 8d", "value: 3d"),
    good=GOOD,
)
def original_retention(bundle: Bundle) -> Iterator[RuleViolation]:
    for function in bundle.functions:
        originals, jobs = _kept(bundle, function, _ORIGINALS), _kept(bundle, function, _JOBS)
        if originals is not None and jobs is not None and originals.seconds < jobs.seconds:
            message = f"{_ORIGINALS} of {function.name} is {originals.text}, {_JOBS} {jobs.text}"
            yield function, _CONTAINERS, message


@rule(
    "original-retention-events",
    Severity.WARNING,
    "events may wait in the Broker's stream for longer than originals are kept",
    on_the_cluster="A job whose event is delivered after its original was deleted fails with input.not_found.",
    fix="Set the stream's maxAge to at most ORIGINAL_RETENTION; the outbox emits what is still to do again.",
    bad=GOOD.replace("maxAge: 168h", "maxAge: 720h"),
    good=GOOD,
)
def original_retention_events(bundle: Bundle) -> Iterator[RuleViolation]:
    yield from _kept_longer_by_the_stream(bundle, _ORIGINALS)


@rule(
    "job-retention-events",
    Severity.WARNING,
    "events may stay in the Broker's stream for longer than the records of their jobs",
    on_the_cluster="An event that is delivered after its job's record has expired finds no job: it is rejected and "
    "becomes a dead letter. Until then, what the record no longer says can be read from the stream.",
    fix="Set the stream's maxAge to at most JOB_RETENTION; the outbox emits what is still to do again.",
    bad=GOOD.replace("value: 7d", "value: 2d"),
    good=GOOD,
)
def job_retention_events(bundle: Bundle) -> Iterator[RuleViolation]:
    yield from _kept_longer_by_the_stream(bundle, _JOBS)


def _kept_longer_by_the_stream(bundle: Bundle, variable: str) -> Iterator[RuleViolation]:
    """Yield each function whose setting is below the stream's maxAge, once per function."""
    seen = set()
    for path in paths(bundle):
        kept = _kept(bundle, path.function, variable)
        if kept is None or path.channel is None or path.function.name in seen:
            continue
        max_age_s = seconds(path.channel.get("spec", "stream", "config", "maxAge")) or 0
        if max_age_s > kept.seconds:
            seen.add(path.function.name)
            message = f"the stream's maxAge is {max_age_s / _DAY_S:g} d, {variable} of {path.function.name} is"
            yield path.channel, ("spec", "stream", "config", "maxAge"), f"{message} {kept.text}"


def _kept(bundle: Bundle, function: Manifest, variable: str) -> _Kept | None:
    """Return what the function is given; None where it is given nothing that can be read."""
    own = function.variable(variable)
    found = own if own is not None else next(iter(shared_settings(bundle, function, variable)), None)
    kept = _Kept(text=str(found)) if found is not None else None
    try:
        return kept if kept is not None and kept.seconds >= 0 else None
    except ValueError:
        return None
