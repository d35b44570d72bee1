"""The charts of the report, over one time axis, and the distribution of the times."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from darkroom import charts
from darkroom.charts import SERIES, Chart, Colour, Columns, Dots, Limit, Line, Mark, Moments, histogram
from darkroom.contract.jobs import JobStatus
from loadtests.percentiles import format_duration
from loadtests.polling import POLL_EVERY_S
from loadtests.recording import POLLING
from loadtests.series import Series
from loadtests.summary import ALL, RunSummary

_MOST_COLUMNS = 60
_WANTED = "wanted by the autoscaler"


def _over_time(series: Series, title: str, *marks: Mark, **options: Any) -> Chart:
    """Make a chart over the common time axis."""
    return Chart(title=title, marks=marks, from_x=0, to_x=_end_s(series), **options)


def _end_s(series: Series) -> float:
    return series.ended_s * 1.02 + 0.5


def rates(series: Series) -> str:
    span = "second" if series.bin_s == 1 else f"{series.bin_s:g} seconds"
    chart = _over_time(
        series,
        "Pictures handed in and done over time",
        Columns(points=series.handed_in(), span=series.bin_s, colour=Colour.BLUE, name="handed in", place=0, of=2),
        Columns(points=series.done(), span=series.bin_s, colour=Colour.GREEN, name="done", place=1, of=2),
    )
    return _section(f"Pictures per {span}", chart)


def backlog(series: Series) -> str:
    waiting = Line(
        points=_within(series, series.broker_backlog()),
        colour=Colour.RED,
        name="events before the Trigger that is furthest behind (others' events and replies among them)",
    )
    not_done = Line(
        points=series.not_done_yet(),
        colour=Colour.ORANGE,
        name="accepted and not done (as the visitors see it)",
        stepped=True,
        filled=True,
    )
    marks = [not_done, waiting] if waiting.points else [not_done]
    return _section("Not done yet", _over_time(series, "Jobs that are not done yet over time", *marks))


def instances(summary: RunSummary, series: Series) -> str:
    functions = series.instances()
    if not functions:
        why = (
            "nobody was asked for them: --admin-url of a local runtime or --metrics-url shows them"
            if summary.observed is None
            else f"{summary.observed.source} reported none"
        )
        return _titled("Instances of each function", f'<p class="missing">Not shown: {escape(why)}.</p>')
    cold_starts, capped = series.cold_starts(), series.capped()
    rows, legend = [], ""
    for number, (service, (wanted, ready)) in enumerate(functions.items()):
        last = number == len(functions) - 1
        starts = [start for start in cold_starts.get(service, []) if 0 <= start[0] <= _end_s(series)]
        caption = _starts_text(starts) + (", more were wanted than this machine may run" if service in capped else "")
        chart = _over_time(
            series,
            f"Instances of {service}, wanted and ready",
            Line(points=_within(series, ready), colour=Colour.GREEN, name="ready", stepped=True, filled=True),
            Line(points=_within(series, wanted), colour=Colour.INK, name=_WANTED, stepped=True, dashed=True),
            Moments(
                moments=[(at_s, _start_text(took_s)) for at_s, took_s in starts],
                colour=Colour.RED,
                name="cold start over",
            ),
            height=92 if last else 72,
            labelled=last,
            whole=True,
        )
        legend = chart.legend()
        rows.append(f'<div class="row"><h3>{escape(service)}</h3><small>{caption}</small>{chart.svg()}</div>')
    return _titled("Instances of each function", legend, *rows)


def _within(series: Series, points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Cut off what was observed before the first visitor came or after the last job ended."""
    end_s = _end_s(series)
    before = [value for at_s, value in points if at_s < 0]
    inside = [(at_s, value) for at_s, value in points if 0 <= at_s <= end_s]
    held = [(0.0, before[-1])] if before else []
    return [*held, *inside, *([(end_s, inside[-1][1])] if inside and points[-1][0] > end_s else [])]


def _start_text(took_s: float | None) -> str:
    return "cold start" if took_s is None else f"cold start of {took_s * 1000:.0f} ms"


def _starts_text(starts: Sequence[tuple[float, float | None]]) -> str:
    took = [took_s for _, took_s in starts if took_s is not None]
    if not starts:
        return "no cold start"
    slowest = f", the slowest {max(took) * 1000:.0f} ms" if took else ""
    return f"{len(starts)} cold start{'s' if len(starts) > 1 else ''}{slowest}"


def durations(summary: RunSummary, series: Series) -> str:
    kinds, windows = series.took(), series.windows()
    objective = summary.objective_result.objective
    slowest = max((took_s for points in kinds.values() for _, took_s in points), default=0.0)
    p50 = [(one.middle_s, one.took_s.p50) for one in windows]
    p99 = [(one.middle_s, one.took_s.p99) for one in windows]
    chart = _over_time(
        series,
        "Seconds from the POST to the end of each job, by the moment of the POST",
        *(
            Dots(points=kinds[kind], colour=colour, name=kind)
            for kind, colour in zip(sorted(kinds), SERIES, strict=False)
        ),
        Line(points=p50, colour=Colour.INK, name="p50"),
        Line(points=p99, colour=Colour.INK, name="p99", dashed=True),
        Limit(label=f"objective: {objective}", value=objective.within_s),
        # Show the objective, unless everything was so fast that nothing else would be visible.
        shown=[objective.within_s] if slowest > objective.within_s / 5 else [],
        height=260,
    )
    note = _polling_note(summary)
    return _titled("Seconds from the POST to done, by the moment of the POST", chart.legend(), chart.svg(), note)


def _polling_note(summary: RunSummary) -> str:
    """Explain the bands that polling draws."""
    polled = sum(job.seen_by == POLLING for job in summary.jobs)
    if not polled:
        return ""
    return (
        f'<p class="note">{polled} of {len(summary.jobs)} jobs belong to visitors who look every {POLL_EVERY_S:g} s '
        f"and see an end up to {POLL_EVERY_S:g} s late: their dots lie in bands that far apart.</p>"
    )


def distribution(summary: RunSummary) -> str:
    times = summary.job_times_s().get(ALL)
    took_s = [job.took_s for job in summary.jobs if job.status is JobStatus.COMPLETED and job.took_s is not None]
    if times is None or not times.most:
        return ""
    span = charts.round_step(times.most / _MOST_COLUMNS)
    chart = Chart(
        title="Jobs by the seconds from the POST to done",
        marks=[
            Columns(points=histogram(took_s, span=span), span=span, colour=Colour.BLUE, name="jobs"),
            Limit(label="p50", place=times.p50, label_before=True),
            Limit(label="p99", place=times.p99),
        ],
        from_x=0,
        to_x=times.most + span,
        whole=True,
    )
    return _section(f"Jobs by the time they took, in steps of {format_duration(span)}", chart)


def _section(title: str, chart: Chart) -> str:
    return _titled(title, chart.legend(), chart.svg())


def _titled(title: str, *parts: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>"
