"""The elements that every chart is made of."""

from __future__ import annotations

from html import escape

from darkroom.charts.style import LOOKS


def svg(width: int, height: int, *parts: str, title: str, description: str) -> str:
    """A chart: the title is its name to a screen reader, the description what it says then."""
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    words = f"<title>{escape(title)}</title><desc>{escape(description)}</desc>"
    return f'<svg class="chart" {size} role="img">{words}{"".join(parts)}</svg>'


def label(x: float, y: float, text: str, *, anchor: str = "start", kind: str = "tick") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def standalone(chart: str) -> str:
    """A chart as a file of its own."""
    return chart.replace(">", f' xmlns="http://www.w3.org/2000/svg"><style>{LOOKS}</style>', 1) + "\n"
