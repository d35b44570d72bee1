"""Draws an event's way on a time axis: when it was accepted, each attempt to deliver it, the waits between, and what it
caused, one line below the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from darkroom.charts import round_step
from darkroom.console.drawing.flow_nodes import cut
from darkroom.console.formats import duration

Document = Mapping[str, Any]

_LABELS, _PLOT, _RIGHT = 290, 620, 70
_LINE, _TOP = 26, 30
_LEAST_SPAN_S = 0.02
_GRID_LINES = 6


@dataclass(frozen=True, kw_only=True)
class _Bar:
    """A part of a line. One that begins where it ends is a point."""

    begin: float
    end: float
    kind: str
    title: str


@dataclass(frozen=True, kw_only=True)
class _Line:
    label: str
    detail: str
    depth: int
    begin: float
    end: float
    drawn: Sequence[_Bar]


def way_drawing(events: Sequence[Document]) -> str:
    """Return the SVG of a journey's events (`GET /record/journey`). The page says the same in words below it."""
    lines = [line for event in events for line in _lines(event, 0)]
    if not lines:
        return ""
    begin = min(line.begin for line in lines)
    span = max(max(line.end for line in lines) - begin, _LEAST_SPAN_S)
    width, height = _LABELS + _PLOT + _RIGHT, _TOP + len(lines) * _LINE + 8
    parts = [*_grid(span, height), *(_drawn(line, number, begin, span) for number, line in enumerate(lines))]
    return (
        f'<svg class="way" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">'
        f"<title>The event's way</title><desc>{escape(_description(lines, span))}</desc>{''.join(parts)}</svg>"
    )


def _description(lines: Sequence[_Line], span: float) -> str:
    return f"{len(lines)} lines within {duration(span)}. " + " ".join(f"{line.label}: {line.detail}." for line in lines)


# --- what is drawn ---------------------------------------------------------------------------------------------------


def _lines(event: Document, depth: int) -> Iterator[_Line]:
    at = float(event["at"])
    accepted = _Bar(begin=at, end=at, kind="event", title=f"accepted by {event['broker']}")
    yield _Line(label=event["type"], detail="accepted", depth=depth, begin=at, end=at, drawn=[accepted])
    for way in event["triggers"]:
        if way["state"] != "filtered out":
            yield _way(way, at, depth + 1)
    for caused in event["caused"]:
        yield from _lines(caused["event"], depth + 1)


def _way(way: Document, accepted_at: float, depth: int) -> _Line:
    bars: list[_Bar] = []
    free_at = accepted_at
    for attempt in way["attempts"]:
        begin, end = attempt["at"], attempt["at"] + attempt["lasted_s"]
        bars.append(_Bar(begin=free_at, end=begin, kind="wait", title=f"waits {duration(begin - free_at)}"))
        title = f"attempt {attempt['attempt']}: {attempt['outcome']} in {duration(attempt['lasted_s'])}"
        bars.append(_Bar(begin=begin, end=end, kind="bad" if attempt["why"] else "good", title=title))
        free_at = end
    for name, end_of in (("dead letter", way["dead_letter"]), ("lost", way["lost"])):
        if end_of is not None:
            bars.append(_Bar(begin=end_of["at"], end=end_of["at"], kind="bad", title=name))
            free_at = max(free_at, end_of["at"])
    return _Line(label=way["label"], detail=_detail(way), depth=depth, begin=accepted_at, end=free_at, drawn=bars)


def _detail(way: Document) -> str:
    count = len(way["attempts"])
    tries = f" after {count} attempts" if count > 1 else ""
    return f"{way['state']}{tries}"


# --- how -------------------------------------------------------------------------------------------------------------


def _grid(span: float, height: int) -> Iterator[str]:
    step = round_step(span / _GRID_LINES)
    for number in range(int(span / step) + 1):
        x = _x(number * step, span)
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 6}" y2="{height - 6}"/>'
        yield f'<text class="minor" x="{x:.1f}" y="16" text-anchor="middle">{duration(number * step)}</text>'


def _drawn(line: _Line, number: int, begin: float, span: float) -> str:
    y = _TOP + number * _LINE
    label_x = 6 + min(line.depth, 8) * 14
    kind = "name" if line.detail == "accepted" else ""
    label = f'<text class="{kind}" x="{label_x}" y="{y + 16}">{cut(line.label, 40 - line.depth * 2)}</text>'
    end_x = max(_x(bar.end - begin, span) for bar in line.drawn) if line.drawn else _x(line.begin - begin, span)
    took = "" if line.detail == "accepted" else duration(line.end - line.begin)
    words = f'<text class="minor" x="{end_x + 9:.1f}" y="{y + 16}">{took}</text>'
    return label + "".join(_bar(bar, y, begin, span) for bar in line.drawn) + words


def _bar(bar: _Bar, y: int, begin: float, span: float) -> str:
    left, right = _x(bar.begin - begin, span), _x(bar.end - begin, span)
    title = f"<title>{escape(bar.title)}</title>"
    if bar.kind == "event":
        return f'<circle class="mark event" cx="{left:.1f}" cy="{y + 12}" r="5">{title}</circle>'
    if bar.kind == "wait":
        return f'<rect class="wait" x="{left:.1f}" y="{y + 10}" width="{right - left:.1f}" height="4">{title}</rect>'
    return (
        f'<rect class="mark {bar.kind}" x="{left:.1f}" y="{y + 5}" width="{max(3.0, right - left):.1f}" height="14" '
        f'rx="3">{title}</rect>'
    )


def _x(passed_s: float, span: float) -> float:
    return _LABELS + _PLOT * passed_s / span
