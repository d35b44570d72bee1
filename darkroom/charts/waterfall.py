"""A waterfall: what happened when, one row per span, from top to bottom in the order of the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import floor

from darkroom.charts.plot import round_step
from darkroom.charts.style import Colour
from darkroom.charts.svg import label, svg

_ROW_PX, _BAR_PX, _AXIS_PX = 26, 14, 26
_CHARACTER_PX = 6.6
"""Of a text beside a bar, on average: whether it has room there."""


@dataclass(frozen=True, kw_only=True)
class Span:
    label: str
    begin: float
    end: float
    text: str
    """What is written beside the bar."""
    colour: Colour = Colour.BLUE
    depth: int = 0
    """How far the label is indented: a span that is part of the one above."""


def waterfall(
    spans: Sequence[Span],
    *,
    title: str,
    width: int = 960,
    labels_px: int = 250,
    place_text: Callable[[float], str] = "{:g} s".format,
) -> str:
    """Draw the spans on one axis, which begins with the first of them."""
    first = min((span.begin for span in spans), default=0.0)
    length = max((span.end - first for span in spans), default=0.0) or 1.0
    scale = (width - labels_px - 16) / length
    height = len(spans) * _ROW_PX + _AXIS_PX
    parts = [*_axis(length, scale, labels_px, height, place_text)]
    for row, span in enumerate(spans):
        parts += _row(span, row * _ROW_PX, labels_px + (span.begin - first) * scale, scale, labels_px, width)
    facts = ". ".join(f"{span.label}: {span.text}, from {place_text(span.begin - first)}" for span in spans)
    return svg(width, height, *parts, title=title, description=f"{facts}.")


def _axis(length: float, scale: float, left: int, height: int, place_text: Callable[[float], str]) -> Iterator[str]:
    step = round_step(length / max(2, floor(length * scale / 110)))
    for number in range(floor(length / step + 1e-9) + 1):
        x = left + number * step * scale
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height - _AXIS_PX}"/>'
        yield label(
            x, height - 8, place_text(float(f"{number * step:.6g}")), anchor="start" if number == 0 else "middle"
        )


def _row(span: Span, y: int, x: float, scale: float, labels_px: int, width: int) -> Iterator[str]:
    length = max(2.0, (span.end - span.begin) * scale)
    yield label(12 * span.depth, y + 17, span.label, kind="label")
    place = f'x="{x:.1f}" y="{y + 6}" width="{length:.1f}" height="{_BAR_PX}" rx="2"'
    yield f'<rect class="solid c-{span.colour}" {place}/>'
    needed = len(span.text) * _CHARACTER_PX
    if x + length + 8 + needed <= width:
        yield label(x + length + 6, y + 17, span.text)
    elif x - needed - 8 >= labels_px:
        yield label(x - 6, y + 17, span.text, anchor="end")
    else:
        # The bar fills the row: the text stands on it, as ink on paper.
        yield label(x + 8, y + 17, span.text, kind="on-bar")
