"""Horizontal bars in groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from darkroom.charts.style import Colour
from darkroom.charts.svg import label, svg


@dataclass(frozen=True, kw_only=True)
class Bar:
    label: str
    value: float
    text: str
    """What is written beside the bar."""
    colour: Colour = Colour.BLUE


@dataclass(frozen=True, kw_only=True)
class BarGroup:
    title: str
    bars: Sequence[Bar]
    goal: float | None = None
    """Where a line is drawn."""


_BAR_PX, _BAR_PITCH_PX, _BAR_HEAD_PX, _BAR_LABELS_PX, _BAR_TEXTS_PX = 20, 26, 34, 250, 130


def bar_chart(groups: Sequence[BarGroup], *, title: str, width: int = 760) -> str:
    """Horizontal bars in groups, each group with a scale of its own."""
    parts: list[str] = []
    top = 0
    for group in groups:
        parts += _bar_group(group, top, width)
        top += _BAR_HEAD_PX + len(group.bars) * _BAR_PITCH_PX + 12
    facts = (f"{group.title}: " + ", ".join(f"{bar.label} {bar.text}" for bar in group.bars) for group in groups)
    return svg(width, top, *parts, title=title, description=". ".join(facts) + ".")


def _bar_group(group: BarGroup, top: int, width: int) -> Iterator[str]:
    most = max([bar.value for bar in group.bars] + [group.goal or 0.0]) or 1.0
    scale = (width - _BAR_LABELS_PX - _BAR_TEXTS_PX) / most
    yield label(0, top + 20, group.title, kind="head")
    first = top + _BAR_HEAD_PX
    for number, bar in enumerate(group.bars):
        y, length = first + number * _BAR_PITCH_PX, max(1.0, bar.value * scale)
        yield label(_BAR_LABELS_PX - 8, y + 14.4, bar.label, anchor="end", kind="label")
        size = f'width="{length:.1f}" height="{_BAR_PX}"'
        yield f'<rect class="solid c-{bar.colour}" x="{_BAR_LABELS_PX}" y="{y}" {size}/>'
        yield label(_BAR_LABELS_PX + length + 6, y + 14.4, bar.text)
    if group.goal is not None:
        x, floor_y = _BAR_LABELS_PX + group.goal * scale, first + len(group.bars) * _BAR_PITCH_PX
        yield f'<line class="limit" x1="{x:.1f}" x2="{x:.1f}" y1="{first - 4}" y2="{floor_y}"/>'
