"""The page of a simulation: the settings side by side, with charts, reasons and what to change. One file, no scripts.

The same facts are in the page as JSON (`<script type="application/json" id="facts">`), for programs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape
from math import isfinite
from pathlib import Path as FilePath

from darkroom import charts as drawing
from darkroom.cli.simulate import charts
from darkroom.cli.simulate.document import study_document
from darkroom.cli.simulate.series import slowest_window_s
from darkroom.cli.simulate.study import Study, search_sentence
from darkroom.cli.terminal import format_duration
from darkroom.simulate.result import Bend
from darkroom.simulate.study.advice import advise
from darkroom.simulate.study.outcome import Answer, Spread, confidence

_STYLE = (FilePath(__file__).parent / "page.css").read_text(encoding="utf-8")
MOST_DRAWN = 6
"""Settings with charts; of more, the table has all."""
_BENDS_FIRST = 8
_MOST_BENDS = 60
_MOST_ROWS = 60


def page(study: Study) -> str:
    facts = json.dumps(study_document(study), indent=1).replace("<", "\\u003c")
    # Of a file, its name; a path is nobody's headline.
    title = f"Simulation: {study.traffic.source.rpartition('/')[2]} into {study.path.service}"
    wide = " class=wide" if len(study.answers) > 1 else ""
    body = "".join(
        [
            _header(study, title),
            _table_of(study),
            _against(study),
            _search(study),
            _section("The traffic", charts.figure(charts.arrivals(study.traffic.arrivals_s, study.end_s, width=1000))),
            _settings(study),
            _compared(study),
            _how(study),
        ]
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{drawing.STYLE}{_STYLE}</style></head>'
        f"<body><main{wide}>{body}</main>"
        f'<script type="application/json" id="facts">{facts}</script></body></html>\n'
    )


def _section(title: str, *parts: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>"


def _header(study: Study, title: str) -> str:
    traffic = study.traffic
    remarks = "".join(f'<p class="notice">{escape(remark)}</p>' for remark in study.remarks)
    return (
        f"<header><h1>{escape(title)}</h1><p>{len(traffic.arrivals_s):,} requests within "
        f"{format_duration(traffic.seconds)}, {traffic.per_s:.3g} a second on average. The objective is "
        f"{escape(str(study.objective))}.</p>{remarks}</header>"
    )


# --- figures ---------------------------------------------------------------------------------------------------------


def _table_of(study: Study) -> str:
    heads = (
        "setting", f"within {study.objective.within_s:g} s", "p50", "p95", "p99", "refused", "cold starts seen",
        "starts", "most pods", "pod seconds", f"{study.prices.currency} a day", "per million",
    )  # fmt: skip
    rows = [_row(study, answer) for answer in study.answers[:_MOST_ROWS]]
    return _section("The answer", _table(heads, rows), f'<p class="small">{escape(_how_sure(study))}</p>')


def _how_sure(study: Study) -> str:
    if study.runs == 1:
        return "One run; with --runs there is a range to each figure."
    return (
        f"Medians of {study.runs} runs with different seeds, and below them the least and the largest: the true median "
        f"is between the two with {confidence(study.runs):.0%}. Prices are by “{study.prices.label}”, for the "
        "requested CPU and memory of the pods, if this traffic went on all day."
    )


def _row(study: Study, answer: Answer) -> list[str]:
    badge = '<span class="badge good">holds</span>' if answer.holds else '<span class="badge bad">does not hold</span>'
    return [
        f"{escape(answer.setting.label)}{badge}",
        _cell(answer.spread("within"), lambda share: f"{share:.2%}"),
        *(_cell(answer.spread(name), format_duration) for name in ("p50_s", "p95_s", "p99_s")),
        *(
            _cell(answer.spread(name), lambda number: f"{number:,.0f}")
            for name in ("refused", "cold_requests", "starts", "most_pods", "pod_seconds")
        ),
        f"{study.prices.per_day(answer):,.2f}",
        f"{study.prices.per_million(answer, study.path.offered):,.2f}",
    ]


def _cell(spread: Spread, text: Callable[[float], str]) -> str:
    middle, low, high = (
        text(value) if isfinite(value) else "never" for value in (spread.middle, spread.low, spread.high)
    )
    return middle if low == high else f"{middle}<small>{low} – {high}</small>"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "") -> str:
    """Make a table; the cells are HTML."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table{f' class={kind}' if kind else ''}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


# --- settings --------------------------------------------------------------------------------------------------------


def _settings(study: Study) -> str:
    drawn = study.answers[:MOST_DRAWN]
    left = len(study.answers) - len(drawn)
    more = f'<p class="small">{left} more settings are in the table only.</p>' if left > 0 else ""
    width = 1000 if len(drawn) == 1 else 680
    columns = "".join(_setting(study, answer, width) for answer in drawn)
    return _section("What happens", more, f'<div class="columns">{columns}</div>')


def _setting(study: Study, answer: Answer, width: int) -> str:
    result, path, end_s = answer.typical, study.path, study.end_s
    drawn = [each.typical for each in study.answers[:MOST_DRAWN]]
    most_pods = max(
        max([*one.services[path.service].series.ready, *one.services[path.service].series.wanted]) for one in drawn
    )
    most_queue = max(max(one.services[path.service].series.queue) for one in drawn)
    slowest = max(slowest_window_s(one.latencies[path.name], end_s) for one in drawn)
    advice = "".join(
        f'<div class="advice"><b>{escape(one.about)}</b>{escape(one.sentence)} <span>{escape(one.remedy)}</span></div>'
        for one in advise(answer.scenario, result, path)
    )
    return (
        f'<div class="setting"><h3>{escape(answer.setting.label)}</h3>'
        f"<p>Drawn is the run with the median p95 (seed {result.seed}).</p>{advice}"
        + charts.figure(charts.pods(result, path, end_s=end_s, most=float(most_pods), width=width), "Pods")
        + charts.figure(charts.queue(result, path, end_s=end_s, most=float(most_queue), width=width), "What waits")
        + charts.figure(
            charts.times(result, path, study.objective, end_s=end_s, most=slowest, width=width), "Times, by arrival"
        )
        + _bends(result.services[path.service].bends)
        + "</div>"
    )


def _bends(bends: Sequence[Bend]) -> str:
    if not bends:
        return '<p class="missing">The autoscaler never wanted another number of pods.</p>'
    rows = [
        (
            escape(charts.place_text(round(bend.at_s, 1))),
            f"{bend.before} → {bend.wanted}",
            escape(_capital(bend.reason.sentence)),
        )
        for bend in bends[:_MOST_BENDS]
    ]
    heads = ("at", "pods", "why")
    shown = _table(heads, rows[:_BENDS_FIRST], "bends")
    rest = len(bends) - _BENDS_FIRST
    hidden = ""
    if rest > 0:
        cut = f", the first {_MOST_BENDS} in all" if len(bends) > _MOST_BENDS else ""
        hidden = f"<details><summary>{rest} more{cut}</summary>{_table(heads, rows[_BENDS_FIRST:], 'bends')}</details>"
    return f"<h3>The reason for each bend</h3>{shown}{hidden}"


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _compared(study: Study) -> str:
    if len(study.answers) < 2:
        return ""
    chart = charts.compared_times(study.answers[:MOST_DRAWN], study.path)
    return _section("How long requests take, side by side", charts.figure(chart))


# --- a search, a real run --------------------------------------------------------------------------------------------


def _search(study: Study) -> str:
    found = study.found
    if found is None:
        return ""
    chart = charts.figure(charts.frontier(found, study.objective, currency=study.prices.currency))
    rows = [_row(study, answer) for answer in found.tried[:_MOST_ROWS]]
    every = _table(
        (
            "setting",
            "within",
            "p50",
            "p95",
            "p99",
            "refused",
            "cold",
            "starts",
            "pods",
            "pod seconds",
            "a day",
            "per million",
        ),
        rows,
    )
    patch = (
        ""
        if study.patch is None
        else f"<details><summary>The patch</summary><pre>{escape(study.patch)}</pre></details>"
    )
    return _section(
        "The search",
        f"<p>{escape(search_sentence(study))}</p>",
        chart,
        patch,
        f"<details><summary>All {len(found.tried)} settings that were tried</summary>{every}</details>",
    )


def _against(study: Study) -> str:
    if study.against is None:
        return ""
    calibration, end_s = study.against.calibration, study.against.result.duration_s
    word, colour = ("within tolerance", "good") if calibration.is_within else ("outside the tolerance", "bad")
    rows = [
        (
            f"p{each.percent}",
            format_duration(each.real_s),
            format_duration(each.simulated_s),
            f"{each.difference_s * 1000:+.0f} ms",
            f"{each.ratio:+.0%}",
        )
        for each in calibration.percentiles
    ]
    real, simulated = calibration.pod_seconds
    sentence = (
        f"In {calibration.ticks_within:.1%} of {len(calibration.ticks)} ticks the instances differ by at most one. "
        f"Ready instances times seconds: {real:,.0f} in the real run, {simulated:,.0f} in the simulation. Starts: "
        f"{calibration.starts[0]} and {calibration.starts[1]}."
    )
    return _section(
        f"Laid over the real run {study.against.recording.name}",
        f'<p><span class="badge {colour}">{word}</span> {escape(sentence)}</p>',
        charts.figure(charts.real_and_simulated(calibration, end_s=end_s)),
        charts.figure(charts.differences(calibration, end_s=end_s)),
        _table(("", "real", "simulated", "difference", ""), rows),
        charts.figure(
            charts.real_and_simulated_times(study.against.recording, study.against.result, study.path, end_s=end_s)
        ),
    )


def _how(study: Study) -> str:
    rows = [(escape(name), escape(text)) for name, text in _assumptions(study)]
    return _section("How it was computed", _table(("", ""), rows, "wordy"))


def _assumptions(study: Study) -> Iterator[tuple[str, str]]:
    scenario = study.answers[0].scenario
    service = scenario.service(study.path.service)
    yield "platform", study.platform
    yield "seeds", ", ".join(str(result.seed) for result in study.answers[0].results)
    yield "way of the traffic", study.path.name
    yield (
        "service time",
        f"{service.service_time.mean_s * 1000:.0f} ms on average, of {len(service.service_time.samples)} samples",
    )
    start = service.cold_start
    yield (
        "cold start",
        f"{start.alone.mean_s * 1000:.0f} ms alone; each other start under way adds {start.growth:.0%}",
    )
    yield "simulated time", format_duration(scenario.duration_s)
