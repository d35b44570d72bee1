"""A run on one page that needs nothing else: the verdict first, then its charts over one time axis, then the tables.

The numbers come from `outcome` and `series`; here they are only put into words and places. The same facts stand in the
page as JSON (`<script id="facts">`), for programs that compare runs.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from darkroom import charts
from darkroom.charts import SERIES, Chart, Colour, Columns, Dots, Limit, Line, Mark, Moments, histogram
from darkroom.contract.jobs import JobStatus
from loadtests.outcome import ALL, Outcome
from loadtests.percentiles import Spread
from loadtests.series import Series
from loadtests.shapes import Stage

_STYLE = (Path(__file__).parent / "report.css").read_text()
_MOST_COLUMNS = 60
_WANTED = "wanted by the autoscaler"
_CASES_SHOWN_FIRST = 8


def write_report(outcome: Outcome, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(report(outcome), encoding="utf-8")


def report(outcome: Outcome) -> str:
    series = Series(outcome)
    title = f"Load test: {outcome.shape.name}"
    facts_json = json.dumps(facts(outcome), indent=1).replace("<", "\\u003c")
    body = "".join(
        [
            _header(outcome),
            _notices(outcome),
            _tiles(outcome, series),
            _rates(series),
            _backlog(series),
            _instances(outcome, series),
            _durations(outcome, series),
            _distribution(outcome),
            _job_table(outcome),
            _ledger_table(outcome),
            _request_table(outcome),
            _setting(outcome),
            _case_table(outcome),
        ]
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{charts.STYLE}{_STYLE}</style></head>'
        f"<body><main>{body}</main>"
        f'<script type="application/json" id="facts">{facts_json}</script></body></html>\n'
    )


def facts(outcome: Outcome) -> dict[str, Any]:
    """What the page says, for programs. Times are in seconds."""
    return {
        "shape": outcome.shape.name,
        "scale": outcome.scale,
        "host": outcome.host,
        "began_at": datetime.fromtimestamp(outcome.began_at, UTC).isoformat(),
        "passed": outcome.passed,
        "faults": outcome.faults(),
        "warnings": outcome.warnings(),
        "visitors": {"planned": outcome.visitors, "came": outcome.came, "latest_s": outcome.latest_s},
        "pictures": {"asked": outcome.asked, "turned_away": outcome.turned_away, "cut_off": outcome.cut_off},
        "ledger": outcome.verdict.counts(),
        "objective": {
            "ratio": outcome.judgement.objective.ratio,
            "within_s": outcome.judgement.objective.within_s,
            "reached": outcome.judgement.ratio,
            "held": outcome.judgement.held,
        },
        "job_s": {name: _spread_facts(spread) for name, spread in outcome.job_times_s().items()},
        "request_s": {
            name: {**_spread_facts(spread), "failed": failed}
            for name, (spread, failed) in outcome.request_times_s().items()
        },
        "cold_starts": outcome.cold_starts(),
    }


def _spread_facts(spread: Spread) -> dict[str, float]:
    return {
        "count": spread.count,
        "p50": round(spread.p50, 4),
        "p90": round(spread.p90, 4),
        "p99": round(spread.p99, 4),
        "max": round(spread.most, 4),
    }


# --- the verdict -----------------------------------------------------------------------------------------------------


def _header(outcome: Outcome) -> str:
    word, colour = ("passed", "good") if outcome.passed else ("failed", "bad")
    when = datetime.fromtimestamp(outcome.began_at, UTC).strftime("%d %B %Y, %H:%M UTC")
    return (
        f'<header><h1>Load test: {escape(outcome.shape.name)} <span class="badge {colour}">{word}</span></h1>'
        f"<p>{escape(outcome.shape.meaning[:1].upper() + outcome.shape.meaning[1:])}. "
        f"On {escape(outcome.host)}, {when}.</p></header>"
    )


def _notices(outcome: Outcome) -> str:
    cases = outcome.verdict.cases()
    left = len(cases) - _CASES_SHOWN_FIRST
    more = [f"and {left} more, at the end of this page"] if left > 0 else []
    lines = [*outcome.faults(), *cases[:_CASES_SHOWN_FIRST], *more]
    warnings = "".join(f'<p class="notice warning">{escape(warning)}</p>' for warning in outcome.warnings())
    if not lines:
        return warnings
    return f'<ul class="notice bad">{"".join(f"<li>{escape(line)}</li>" for line in lines)}</ul>{warnings}'


def _tiles(outcome: Outcome, series: Series) -> str:
    objective, verdict = outcome.judgement.objective, outcome.verdict
    times = outcome.job_times_s().get(ALL)
    broken = len(verdict.lost) + len(verdict.doubled) + len(verdict.stuck)
    return (
        "<section class=tiles>"
        + "".join(
            [
                _tile(str(outcome.asked), f"pictures handed in; {verdict.accepted} accepted, {verdict.completed} done"),
                _tile(
                    f"{outcome.judgement.ratio * 100:.4g} %",
                    f"done within {objective.within_s:g} s; the objective is {objective.ratio * 100:.4g} %",
                    good=outcome.judgement.held,
                ),
                _tile(
                    f"{len(verdict.lost)} / {len(verdict.doubled)} / {len(verdict.stuck)}",
                    "lost, doubled, stuck; each has to be 0",
                    good=broken == 0,
                ),
                _tile("–" if times is None else f"{times.p50:.2f} s", "POST to done, half of them (p50)"),
                _tile("–" if times is None else f"{times.p99:.2f} s", "POST to done, all but 1 % (p99)"),
                _last_tile(outcome, series),
            ]
        )
        + "</section>"
    )


def _last_tile(outcome: Outcome, series: Series) -> str:
    if outcome.unfinished:
        return _tile(
            "never", f"{outcome.unfinished} had no end {series.ended_s:.0f} s after the first came", good=False
        )
    return _tile(f"{series.ended_s:.1f} s", f"until the last was done; they came in {outcome.shape.seconds:g} s")


def _tile(number: str, meaning: str, *, good: bool | None = None) -> str:
    colour = {None: "", True: " good", False: " bad"}[good]
    return f'<div class="tile{colour}"><b>{escape(number)}</b><span>{escape(meaning)}</span></div>'


# --- the charts ------------------------------------------------------------------------------------------------------


def _over_time(series: Series, title: str, *marks: Mark, **options: Any) -> Chart:
    """All such charts have one axis of time."""
    return Chart(title=title, marks=marks, from_x=0, to_x=_end_s(series), **options)


def _end_s(series: Series) -> float:
    return series.ended_s * 1.02 + 0.5


def _rates(series: Series) -> str:
    span = "second" if series.bin_s == 1 else f"{series.bin_s:g} seconds"
    chart = _over_time(
        series,
        "Pictures handed in and done over time",
        Columns(points=series.handed_in(), span=series.bin_s, colour=Colour.BLUE, name="handed in", place=0, of=2),
        Columns(points=series.done(), span=series.bin_s, colour=Colour.GREEN, name="done", place=1, of=2),
    )
    return _section(f"Pictures per {span}", chart)


def _backlog(series: Series) -> str:
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


def _instances(outcome: Outcome, series: Series) -> str:
    functions = series.instances()
    if not functions:
        why = (
            "nothing was asked for them: --admin-url of a local runtime or --metrics-url shows them"
            if outcome.observed is None
            else f"{outcome.observed.source} told of none"
        )
        return _titled("Instances of each function", f'<p class="missing">Not shown: {escape(why)}.</p>')
    cold_starts, capped = series.cold_starts(), series.capped()
    rows, legend = [], ""
    for number, (service, (wanted, ready)) in enumerate(functions.items()):
        last = number == len(functions) - 1
        starts = [start for start in cold_starts.get(service, []) if 0 <= start[0] <= _end_s(series)]
        said = _starts_text(starts) + (", more were wanted than this machine may run" if service in capped else "")
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
        rows.append(f'<div class="row"><h3>{escape(service)}</h3><small>{said}</small>{chart.svg()}</div>')
    return _titled("Instances of each function", legend, *rows)


def _within(series: Series, points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """What was observed before the first visitor came or after the last job ended is cut off."""
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


def _durations(outcome: Outcome, series: Series) -> str:
    kinds, windows = series.took(), series.windows()
    objective = outcome.judgement.objective
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
        # The objective belongs into the picture, unless all was so fast that there would be nothing else to see.
        shown=[objective.within_s] if slowest > objective.within_s / 5 else [],
        height=260,
    )
    return _section("Seconds from the POST to done, by the moment of the POST", chart)


def _distribution(outcome: Outcome) -> str:
    times = outcome.job_times_s().get(ALL)
    took_s = [job.took_s for job in outcome.jobs if job.status is JobStatus.COMPLETED and job.took_s is not None]
    if times is None or not times.most:
        return ""
    span = charts.round_step(times.most / _MOST_COLUMNS)
    chart = Chart(
        title="Jobs by the seconds from the POST to done",
        marks=[
            Columns(points=histogram(took_s, span=span), span=span, colour=Colour.BLUE, name="jobs"),
            Limit(label="p50", place=times.p50),
            Limit(label="p99", place=times.p99),
        ],
        from_x=0,
        to_x=times.most + span,
        whole=True,
    )
    return _section(f"Jobs by the time they took, in steps of {_duration(span)}", chart)


def _section(title: str, chart: Chart) -> str:
    return _titled(title, chart.legend(), chart.svg())


def _titled(title: str, *parts: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>"


# --- the tables ------------------------------------------------------------------------------------------------------

_SPREAD_HEADS = ("p50", "p90", "p99", "slowest")


def _job_table(outcome: Outcome) -> str:
    rows = [(name, str(spread.count), *_spread_cells(spread)) for name, spread in outcome.job_times_s().items()]
    return _table("From the POST to done", ("pictures", "done", *_SPREAD_HEADS), rows)


def _ledger_table(outcome: Outcome) -> str:
    counts = outcome.verdict.counts()
    meanings = {
        "accepted": "jobs that an answer named, or that bear the id of a request of ours",
        "completed": "followed to their end, result fetched and held against its promised size and type",
        "failed": "ended as failed",
        "lost": "accepted, and there is no such job or no such result",
        "doubled": "one picture, sent once or twice, became two jobs",
        "stuck": "accepted, and not ended in the time to settle",
    }
    refusals = ", ".join(f"{count} × {answer}" for answer, count in sorted(outcome.refusals.items())) or "none"
    rows = [
        ("handed in", str(outcome.asked), f"pictures, by {outcome.came} visitors"),
        ("turned away", str(outcome.turned_away), f"pictures never accepted; answers that were no 202: {refusals}"),
        *((name, str(count), meanings[name]) for name, count in counts.items()),
    ]
    return _table("The ledger", ("", "", ""), rows, wordy=True)


def _request_table(outcome: Outcome) -> str:
    rows = [
        (name, str(spread.count), str(failed), *_spread_cells(spread))
        for name, (spread, failed) in outcome.request_times_s().items()
    ]
    return _table("HTTP requests of the visitors", ("request", "count", "failed", *_SPREAD_HEADS), rows)


def _spread_cells(spread: Spread) -> tuple[str, ...]:
    return tuple(_duration(seconds) for seconds in (spread.p50, spread.p90, spread.p99, spread.most))


def _duration(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]], *, wordy: bool = False) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f"<section><h2>{escape(title)}</h2><table{' class=wordy' if wordy else ''}><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></section>"
    )


def _setting(outcome: Outcome) -> str:
    stages = ", then ".join(_stage_text(stage, outcome.scale) for stage in outcome.shape.stages)
    stories = ", ".join(f"{weight} × {story}" for story, weight in outcome.shape.mix.items())
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    rows = [
        ("visitors", stages),
        ("stories", stories),
        ("latest visitor", f"{max(0.0, outcome.latest_s) * 1000:.0f} ms after his moment"),
        ("load generator", f"one locust process, {outcome.generator_cpu_s:.1f} s of processor time; {machine}"),
        ("times", "as a client sees them; one that polls sees an end up to a second late"),
        ("observed", "not at all" if outcome.observed is None else f"{outcome.observed.source}, each half second"),
    ]
    return _table("How it was measured", ("", ""), rows, wordy=True)


def _case_table(outcome: Outcome) -> str:
    cases = outcome.verdict.cases()
    if len(cases) <= _CASES_SHOWN_FIRST:
        return ""
    rows = [(str(number), case) for number, case in enumerate(cases, 1)]
    return _table("Every case in which the promise was broken", ("", ""), rows, wordy=True)


def _stage_text(stage: Stage, scale: float) -> str:
    rate = f"{stage.per_s * scale:g} a second"
    if stage.to_per_s is not None:
        rate = f"from {stage.per_s * scale:g} to {stage.to_per_s * scale:g} a second"
    return f"{rate} for {stage.seconds:g} s"
