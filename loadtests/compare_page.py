"""The comparison of two runs: one self-contained page, and lines for the terminal."""

from __future__ import annotations

from html import escape
from pathlib import Path

from darkroom import charts
from darkroom.charts import Chart, Colour, Line
from loadtests.compare import ComparedCount, ComparedValue, Comparison, Unit
from loadtests.percentiles import format_duration
from loadtests.recording import Recording
from loadtests.report_tables import table
from loadtests.resampling import CONFIDENCE

_STYLE = (Path(__file__).parent / "report.css").read_text()
_HEADS = ("value", "A", "B", "B − A", f"{CONFIDENCE * 100:g} % interval", "verdict on B")


def write(comparison: Comparison, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(comparison), encoding="utf-8")


def page(comparison: Comparison) -> str:
    warnings = "".join(f'<p class="notice warning">{escape(warning)}</p>' for warning in comparison.warnings)
    body = "".join(
        [
            "<header><h1>Load tests: A and B</h1>",
            f"<p>{_name('A', comparison.first)}<br>{_name('B', comparison.second)}</p></header>",
            warnings,
            table("What differs", _HEADS, [_value_row(value) for value in comparison.values], wordy=True),
            _distributions(comparison),
            table("Counts", ("count", "A", "B", "B − A"), [_count_row(count) for count in comparison.counts]),
        ]
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Load tests: A and B</title>'
        f'<meta name="viewport" content="width=device-width"><style>{charts.STYLE}{_STYLE}</style></head>'
        f"<body><main>{body}</main></body></html>\n"
    )


def lines(comparison: Comparison) -> list[str]:
    """Return the lines for the terminal."""
    rows: list[tuple[str, ...]] = [tuple(head.replace("−", "-") for head in _HEADS)]
    rows += [tuple(cell.replace("−", "-") for cell in _value_row(value)) for value in comparison.values]
    rows += [(*(cell.replace("−", "-") for cell in _count_row(count)), "", "") for count in comparison.counts]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADS))]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    runs = [f"A  {_facts(comparison.first)}", f"B  {_facts(comparison.second)}"]
    return [*runs, "", *shown, "", *(f"warning     {warning}" for warning in comparison.warnings)]


def _name(letter: str, run: Recording) -> str:
    return f"<b>{letter}</b> {escape(_facts(run))}"


def _facts(run: Recording) -> str:
    facts = run.run
    verdict = "passed" if facts.passed else "failed"
    return (
        f"{facts.shape} at scale {facts.scale:g}, {len(run.jobs)} pictures, {facts.began_at}, {facts.host}, {verdict}"
    )


def _value_row(value: ComparedValue) -> tuple[str, ...]:
    found = value.difference
    return (
        value.name,
        _format(value.unit, found.first),
        _format(value.unit, found.second),
        _signed(value.unit, found.change),
        f"{_signed(value.unit, found.low)} to {_signed(value.unit, found.high)}",
        value.verdict,
    )


def _count_row(count: ComparedCount) -> tuple[str, ...]:
    change = count.second - count.first
    return (
        count.name,
        f"{count.first:g}",
        f"{count.second:g}",
        f"{'+' if change > 0 else '−' if change < 0 else ''}{abs(round(change, 3)):g}",
    )


def _format(unit: Unit, value: float) -> str:
    return format_duration(value) if unit is Unit.SECONDS else f"{value * 100:.4g} %"


def _signed(unit: Unit, value: float) -> str:
    return f"{'−' if value < 0 else '+'}{_format(unit, abs(value))}"


def _distributions(comparison: Comparison) -> str:
    """Draw which share of the jobs was done within which time."""
    runs = [(name, _cumulative(run)) for name, run in (("A", comparison.first), ("B", comparison.second))]
    chart = Chart(
        title="Share of the completed jobs by the seconds from the POST to done",
        marks=[
            Line(points=points, colour=colour, name=name, stepped=True)
            for (name, points), colour in zip(runs, (Colour.BLUE, Colour.ORANGE), strict=True)
        ],
        from_x=0,
        to_x=max(points[-1][0] for _, points in runs) * 1.02 + 0.01,
        shown=[100],
        height=260,
        value_text="{:g} %".format,
    )
    title = "Share of the completed jobs that were done within a time"
    return f"<section><h2>{title}</h2>{chart.legend()}{chart.svg()}</section>"


def _cumulative(run: Recording) -> list[tuple[float, float]]:
    times = sorted(job.took_s for job in run.jobs if job.took_s is not None)
    return [(0.0, 0.0), *((took_s, 100 * number / len(times)) for number, took_s in enumerate(times, 1))]
