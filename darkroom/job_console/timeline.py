"""A job's life as a waterfall: its waits, the instances that started meanwhile, its attempts and their steps. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from darkroom.charts import Colour, Span, waterfall
from darkroom.console.formats import duration
from darkroom.contract.jobs import Attempt, JobRecord

_STEPS_SHOWN_APART = ("queued",)
"""Timings that are no steps of an attempt: the wait before it has a row of its own."""


@dataclass(frozen=True, kw_only=True)
class InstanceStart:
    """An instance of the job's function that became ready."""

    name: str
    ready_at: float
    """Seconds since the epoch."""
    took_s: float

    @property
    def began_at(self) -> float:
        return self.ready_at - self.took_s


def timeline_chart(record: JobRecord, *, now: datetime, starts: Sequence[InstanceStart] = ()) -> str:
    """Draw the spans as SVG."""
    spans = list(spans_of(record, now=now, starts=starts))
    return waterfall(spans, title=f"Timeline of job {record.job_id}", place_text=duration)


def spans_of(record: JobRecord, *, now: datetime, starts: Sequence[InstanceStart] = ()) -> Iterator[Span]:
    """Yield the job's spans in their order, in seconds since the epoch."""
    since, why = record.created_at.timestamp(), _first_wait(record)
    for place, attempt in enumerate(record.history):
        begin = attempt.started_at.timestamp()
        yield from _wait(why, since, begin, starts)
        yield from _attempt(attempt, record, now, is_last=place == len(record.history) - 1)
        if attempt.ended_at is None:
            return
        since, why = attempt.ended_at.timestamp(), "waits for the next attempt"
    if not record.status.is_final:
        yield from _wait(why, since, now.timestamp(), starts)
    elif not record.history:
        end = (record.finished_at or now).timestamp()
        yield from _wait(why, since, end, starts)


def _first_wait(record: JobRecord) -> str:
    return "waits in its lane" if record.in_lane else "waits for an instance"


def _wait(why: str, begin: float, end: float, starts: Sequence[InstanceStart]) -> Iterator[Span]:
    yield Span(label=why, begin=begin, end=max(begin, end), text=duration(max(0.0, end - begin)), colour=Colour.GREY)
    for start in starts:
        if start.began_at < end and start.ready_at > begin:
            yield Span(
                label=f"cold start of {start.name}",
                begin=max(begin, start.began_at),
                end=min(max(begin, end), start.ready_at),
                text=f"ready after {duration(start.took_s)}",
                colour=Colour.PURPLE,
                depth=1,
            )


def _attempt(attempt: Attempt, record: JobRecord, now: datetime, *, is_last: bool) -> Iterator[Span]:
    begin, end = attempt.started_at.timestamp(), (attempt.ended_at or now).timestamp()
    outcome = attempt.code or ("completed" if attempt.ended_at else "under way")
    yield Span(
        label=f"attempt {attempt.fence}",
        begin=begin,
        end=end,
        text=f"{outcome}, {duration(end - begin)}",
        colour=Colour.RED if attempt.code else Colour.GREEN if attempt.ended_at else Colour.BLUE,
    )
    if is_last and attempt.ended_at is not None and attempt.code is None:
        yield from _steps(record, begin)


def _steps(record: JobRecord, begin: float) -> Iterator[Span]:
    """Yield the steps one after the other. Only their lengths are known, and that they follow each other."""
    for name, milliseconds in record.timings_ms.items():
        if name not in _STEPS_SHOWN_APART:
            end = begin + milliseconds / 1000
            text = duration(milliseconds / 1000)
            yield Span(label=name, begin=begin, end=end, text=text, colour=Colour.TEAL, depth=1)
            begin = end
