"""Bars as SVG, without a library: a title, groups of bars, a line that a bar should reach. Nothing is measured here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH_PX = 760
LABEL_PX = 250
BAR_PX = 20
GAP_PX = 6
HEAD_PX = 34
VALUE_PX = 110
COLOURS = {"ours": "#2f6f9f", "limit": "#9aa3ab", "peer": "#c58a3a"}
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#24292f}.title{font-weight:600}.value{fill:#57606a}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.value{fill:#9da7b1}}"
)


@dataclass(frozen=True, kw_only=True)
class Bar:
    label: str
    value: float
    kind: str
    """`ours`, `limit` or `peer`."""
    shown: str
    """What stands beside the bar."""


@dataclass(frozen=True, kw_only=True)
class Group:
    title: str
    bars: Sequence[Bar]
    goal: float | None = None
    """Where a dashed line is drawn."""


def svg(groups: Sequence[Group]) -> str:
    parts: list[str] = []
    top = 0
    for group in groups:
        parts += _group(group, top)
        top += HEAD_PX + len(group.bars) * (BAR_PX + GAP_PX) + GAP_PX * 2
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH_PX}" height="{top}" viewBox="0 0 {WIDTH_PX} {top}">'
    return "\n".join([head, f"<style>{STYLE}</style>", *parts, "</svg>", ""])


def _group(group: Group, top: int) -> list[str]:
    most = max([bar.value for bar in group.bars] + [group.goal or 0.0]) or 1.0
    scale = (WIDTH_PX - LABEL_PX - VALUE_PX) / most
    parts = [f'<text class="title" x="0" y="{top + 20}">{escape(group.title)}</text>']
    for place, bar in enumerate(group.bars):
        parts += _bar(bar, top + HEAD_PX + place * (BAR_PX + GAP_PX), scale)
    if group.goal is not None:
        x = LABEL_PX + group.goal * scale
        bottom = top + HEAD_PX + len(group.bars) * (BAR_PX + GAP_PX)
        line = f"M{x:.1f} {top + HEAD_PX - 4}V{bottom}"
        parts.append(f'<path d="{line}" stroke="#b3362b" stroke-width="1.5" stroke-dasharray="5 4"/>')
    return parts


def _bar(bar: Bar, top: int, scale: float) -> list[str]:
    length, text_y = max(1.0, bar.value * scale), top + BAR_PX * 0.72
    return [
        f'<text x="{LABEL_PX - 8}" y="{text_y:.1f}" text-anchor="end">{escape(bar.label)}</text>',
        f'<rect x="{LABEL_PX}" y="{top}" width="{length:.1f}" height="{BAR_PX}" rx="2" fill="{COLOURS[bar.kind]}"/>',
        f'<text class="value" x="{LABEL_PX + length + 6:.1f}" y="{text_y:.1f}">{escape(bar.shown)}</text>',
    ]
