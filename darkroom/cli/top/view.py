"""What `darkroom top` shows, from two status documents: the rates are what has happened between them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from darkroom.diagnosis import Finding
from darkroom.diagnosis.triggers import KINDS


@dataclass(frozen=True, kw_only=True)
class FunctionLine:
    name: str
    wanted: int
    ready: int
    in_flight: int
    waiting: int
    max_scale: int
    """0: no maximum."""
    note: str
    """`panic`, `capped`, `failing`, `not run`, or nothing."""


@dataclass(frozen=True, kw_only=True)
class TriggerLine:
    name: str
    per_s: float | None
    """Deliveries; None: not known yet."""
    backlog: int | None
    """None: not known, because NATS does not answer."""
    in_flight: int
    retried: int
    dead_lettered: int
    lost: int


@dataclass(frozen=True, kw_only=True)
class JobsLine:
    per_s: float
    """Jobs that ended, over the last minute."""
    queued: int
    processing: int
    oldest_age_s: float
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class Sample:
    at: float
    """When the status was read, in seconds."""
    status: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class View:
    functions: Sequence[FunctionLine]
    triggers: Sequence[TriggerLine]
    jobs: JobsLine | None
    """None: the project has no jobs."""
    findings: Sequence[Finding] = field(default_factory=tuple)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def view_of(now: Sample, before: Sample | None, findings: Sequence[Finding]) -> View:
    return View(
        functions=[_function(row) for row in now.status["functions"]],
        triggers=list(_triggers(now, before)),
        jobs=_jobs(now.status.get("jobs")),
        findings=findings,
    )


def _function(row: Mapping[str, Any]) -> FunctionLine:
    notes = {"not run": row["not_run"], "failing": row["failing"], "panic": row["panicking"], "capped": row["capped"]}
    return FunctionLine(
        name=row["service"],
        wanted=row["wanted"],
        ready=row["ready"],
        in_flight=row["in_flight"],
        waiting=row["waiting"],
        max_scale=row["max_scale"],
        note=next((note for note, holds in notes.items() if holds), ""),
    )


def _triggers(now: Sample, before: Sample | None) -> Iterator[TriggerLine]:
    earlier = {} if before is None else dict(_rows(before.status))
    for (kind, name), row in _rows(now.status):
        was = earlier.get((kind, name))
        yield TriggerLine(
            name=name if kind == "trigger" else f"{kind} {name}",
            per_s=None if was is None or before is None else _rate(row, was, now.at - before.at),
            backlog=row["backlog"],
            in_flight=row["in_flight"],
            retried=row["retried"],
            dead_lettered=row["dead_lettered"],
            lost=row["lost"],
        )


def _rows(status: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], Mapping[str, Any]]]:
    for kind in KINDS:
        for row in status[f"{kind}s"]:
            yield (kind, row[kind]), row


def _rate(row: Mapping[str, Any], was: Mapping[str, Any], seconds: float) -> float:
    # Fewer than before: another run of the runtime.
    return max(0.0, (row["delivered"] - was["delivered"]) / seconds) if seconds > 0 else 0.0


def _jobs(section: Mapping[str, Any] | None) -> JobsLine | None:
    if section is None:
        return None
    if "error" in section:
        return JobsLine(per_s=0.0, queued=0, processing=0, oldest_age_s=0.0, error=str(section["error"]))
    return JobsLine(
        per_s=section["ended"] / max(section["ended_within_s"], 1.0),
        queued=section["queued"],
        processing=section["processing"],
        oldest_age_s=section["oldest_age_s"],
    )
