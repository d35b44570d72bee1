"""The report of a run: one self-contained page with the verdict first, then the charts, then the tables.

The numbers come from `summary` and `series`; this module and `report_charts` and `report_tables` only format them. The
same facts are in the page as JSON (`<script id="facts">`), for programs that compare runs.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from darkroom import charts
from loadtests import report_charts, report_tables
from loadtests.percentiles import Spread
from loadtests.series import Series
from loadtests.summary import ALL, RunSummary

_ENOUGH_FOR_P99 = 100
_STYLE = (Path(__file__).parent / "report.css").read_text()


def write_report(summary: RunSummary, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(report(summary), encoding="utf-8")


def report(summary: RunSummary) -> str:
    series = Series(summary)
    title = f"Load test: {summary.shape.name}"
    facts_json = json.dumps(facts(summary), indent=1).replace("<", "\\u003c")
    body = "".join(
        [
            _header(summary),
            _notices(summary),
            _tiles(summary, series),
            report_charts.rates(series),
            report_charts.backlog(series),
            report_charts.instances(summary, series),
            report_charts.durations(summary, series),
            report_charts.distribution(summary),
            report_tables.job_table(summary),
            report_tables.ledger_table(summary),
            report_tables.resolution_table(summary),
            report_tables.request_table(summary),
            report_tables.measurement_table(summary),
            report_tables.case_table(summary),
        ]
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{charts.STYLE}{_STYLE}</style></head>'
        f"<body><main>{body}</main>"
        f'<script type="application/json" id="facts">{facts_json}</script></body></html>\n'
    )


def facts(summary: RunSummary) -> dict[str, Any]:
    """Return the page's content for programs. Times are in seconds."""
    return {
        "shape": summary.shape.name,
        "scale": summary.scale,
        "stretch": summary.stretch,
        "generators": summary.generators,
        "host": summary.host,
        "began_at": datetime.fromtimestamp(summary.began_at, UTC).isoformat(),
        "passed": summary.passed,
        "faults": summary.faults(),
        "warnings": summary.warnings(),
        "visitors": {"planned": summary.visitors, "came": summary.came, "latest_s": summary.latest_s},
        "pictures": {"asked": summary.asked, "turned_away": summary.turned_away, "cut_off": summary.cut_off},
        "ledger": summary.verdict.counts(),
        "objective": {
            "ratio": summary.objective_result.objective.ratio,
            "within_s": summary.objective_result.objective.within_s,
            "reached": summary.objective_result.ratio,
            "held": summary.objective_result.is_met,
        },
        "job_s": {name: _spread_facts(spread) for name, spread in summary.job_times_s().items()},
        "request_s": {
            name: {**_spread_facts(spread), "failed": failed}
            for name, (spread, failed) in summary.request_times_s().items()
        },
        "cold_starts": summary.cold_starts(),
    }


def _spread_facts(spread: Spread) -> dict[str, float]:
    return {
        "count": spread.count,
        "p50": round(spread.p50, 4),
        "p90": round(spread.p90, 4),
        "p99": round(spread.p99, 4),
        "max": round(spread.most, 4),
    }


def _header(summary: RunSummary) -> str:
    word, colour = ("passed", "good") if summary.passed else ("failed", "bad")
    when = datetime.fromtimestamp(summary.began_at, UTC).strftime("%d %B %Y, %H:%M UTC")
    return (
        f'<header><h1>Load test: {escape(summary.shape.name)} <span class="badge {colour}">{word}</span></h1>'
        f"<p>{escape(_meaning(summary))} On {escape(summary.host)}, {when}.</p></header>"
    )


def _meaning(summary: RunSummary) -> str:
    """Say what the shape did in this run, which may be a scaled or stretched one."""
    meaning = summary.shape.meaning(scale=summary.scale)
    changed = [
        f"{name} {factor:g}" for name, factor in (("scale", summary.scale), ("stretch", summary.stretch)) if factor != 1
    ]
    factors = f" ({', '.join(changed)})" if changed else ""
    return f"{meaning[:1].upper()}{meaning[1:]}{factors}."


def _notices(summary: RunSummary) -> str:
    cases = summary.verdict.cases()
    left = len(cases) - report_tables.CASES_SHOWN_FIRST
    more = [f"and {left} more, at the end of this page"] if left > 0 else []
    lines = [*summary.faults(), *cases[: report_tables.CASES_SHOWN_FIRST], *more]
    warnings = "".join(f'<p class="notice warning">{escape(warning)}</p>' for warning in summary.warnings())
    if not lines:
        return warnings
    return f'<ul class="notice bad">{"".join(f"<li>{escape(line)}</li>" for line in lines)}</ul>{warnings}'


def _tiles(summary: RunSummary, series: Series) -> str:
    objective, verdict = summary.objective_result.objective, summary.verdict
    times = summary.job_times_s().get(ALL)
    broken = len(verdict.lost) + len(verdict.doubled) + len(verdict.stuck)
    return (
        "<section class=tiles>"
        + "".join(
            [
                _tile(str(summary.asked), f"pictures handed in; {verdict.accepted} accepted, {verdict.completed} done"),
                _tile(
                    f"{summary.objective_result.ratio * 100:.4g} %",
                    f"done within {objective.within_s:g} s; the objective is {objective.ratio * 100:.4g} %",
                    good=summary.objective_result.is_met,
                ),
                _tile(
                    f"{len(verdict.lost)} / {len(verdict.doubled)} / {len(verdict.stuck)}",
                    "lost, doubled, stuck; each has to be 0",
                    good=broken == 0,
                ),
                _tile("–" if times is None else f"{times.p50:.2f} s", "POST to done, half of them (p50)"),
                _slow_tile(times),
                _last_tile(summary, series),
            ]
        )
        + "</section>"
    )


def _slow_tile(times: Spread | None) -> str:
    """Show the p99, where it is anything else than the slowest job."""
    if times is None:
        return _tile("–", "POST to done: nothing was")
    if times.count < _ENOUGH_FOR_P99:
        return _tile(f"{times.most:.2f} s", f"POST to done, the slowest of {times.count}")
    return _tile(f"{times.p99:.2f} s", "POST to done, all but 1 % (p99)")


def _last_tile(summary: RunSummary, series: Series) -> str:
    if summary.unfinished:
        return _tile(
            "never", f"{summary.unfinished} had no end {series.ended_s:.0f} s after the first came", good=False
        )
    came_s = max(summary.posted_at) - summary.began_at
    return _tile(f"{series.done_s:.1f} s", f"until the last was done; the last one came after {came_s:.1f} s")


def _tile(number: str, meaning: str, *, good: bool | None = None) -> str:
    colour = {None: "", True: " good", False: " bad"}[good]
    return f'<div class="tile{colour}"><b>{escape(number)}</b><span>{escape(meaning)}</span></div>'
