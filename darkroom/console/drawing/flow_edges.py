"""Draws the edges of the flow's graph: a line for each, and for what is delivered a label with its counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from darkroom.console.drawing.flow_nodes import cut
from darkroom.console.drawing.graph import Layers, Link
from darkroom.console.drawing.placing import Placed
from darkroom.console.formats import number
from darkroom.console.rendering import BASE

Document = Mapping[str, Any]

LABEL_WIDTH = 216
_NAMED = frozenset({"trigger", "subscription", "dead-letter"})
"""The kinds of edges that say something about themselves."""
_LABEL_PITCH, _PLAIN_PITCH = 42, 14


def pitch(edge: Document) -> int:
    """Return the room that an edge needs where it arrives, in pixels."""
    return _LABEL_PITCH if edge["kind"] in _NAMED else _PLAIN_PITCH


def has_label(link: Link, edge: Document, layers: Layers) -> bool:
    """Report whether the edge's label stands at this part of it, which is its last."""
    return edge["kind"] in _NAMED and link.right not in layers.bends


@dataclass(frozen=True, kw_only=True)
class _Line:
    """One part of an edge, from the left to the right."""

    begin_x: float
    """Where it begins to bend: behind the bend of the part before."""
    start_x: float
    start_y: float
    label_x: float
    """Where it goes on straight, below its label."""
    end_x: float
    end_y: float

    @property
    def path(self) -> str:
        bend = max(24.0, (self.label_x - self.start_x) * 0.55)
        return (
            f"M{self.begin_x:.0f} {self.start_y:.1f}H{self.start_x:.0f}"
            f"C{self.start_x + bend:.0f} {self.start_y:.1f} {self.label_x - bend:.0f} {self.end_y:.1f} "
            f"{self.label_x:.0f} {self.end_y:.1f}H{self.end_x:.0f}"
        )


def edge_drawing(edge: Document, link: Link, index: int, layers: Layers, place: Placed, *, is_labelled: bool) -> str:
    """Draw a part of an edge. In a gap with labels all lines go straight below them, so that none crosses a label."""
    line = _line(link, index, layers, place, is_labelled=is_labelled)
    classes = _classes(edge)
    return f'<path class="edge {classes}" d="{line.path}"/>{_tip(link, layers, line, classes)}'


def _line(link: Link, index: int, layers: Layers, place: Placed, *, is_labelled: bool) -> _Line:
    left, right = place.boxes[link.left], place.boxes[link.right]
    from_bend, to_bend = link.left in layers.bends, link.right in layers.bends
    return _Line(
        begin_x=left.x if from_bend else left.right,
        start_x=left.right,
        start_y=left.middle if from_bend else place.starts[index],
        label_x=right.x - (LABEL_WIDTH if is_labelled else 0),
        end_x=right.x,
        end_y=right.middle if to_bend else place.ends[index],
    )


def _tip(link: Link, layers: Layers, line: _Line, classes: str) -> str:
    """Return the arrow's tip, where the edge arrives: an edge that leads back arrives on the left."""
    is_backward = link.edge.id in layers.backward
    if (link.left if is_backward else link.right) in layers.bends:
        return ""
    x, y, size = (line.start_x, line.start_y, 9) if is_backward else (line.end_x, line.end_y, -9)
    return f'<path class="tip {classes}" d="M{x:.0f} {y:.1f}l{size} -4.5v9z"/>'


def _classes(edge: Document) -> str:
    flows = " flows" if edge.get("per_second") else ""
    harms = " harms" if edge.get("lost") else ""
    return f"{edge['kind']}{flows}{harms}"


# --- labels ----------------------------------------------------------------------------------------------------------


def label_drawing(edge: Document, link: Link, index: int, place: Placed) -> str:
    x, y = place.boxes[link.right].x - LABEL_WIDTH + 10, place.ends[index]
    if edge["kind"] == "dead-letter":
        kind = "harm" if edge["dead_lettered"] else "minor"
        words = f"dead letters: {number(edge['dead_lettered'])}"
        return f'{_plate(x, y - 18, 126)}<text class="{kind}" x="{x:.0f}" y="{y - 5:.1f}">{words}</text>'
    return (
        f'<a href="{edge_path(edge)}">{_plate(x, y - 18, LABEL_WIDTH - 32)}'
        f'<text class="edge-name" x="{x:.0f}" y="{y - 5:.1f}">{cut(edge["name"], 28)}</text>'
        f'<text class="minor" x="{x:.0f}" y="{y + 13:.1f}">{_counts(edge)}</text></a>'
    )


def edge_path(edge: Document) -> str:
    """Return the page of a Trigger or Subscription."""
    return f"{BASE}/{edge['kind']}s/{quote(edge['namespace'])}/{quote(edge['resource'])}"


def _plate(x: float, y: float, width: float) -> str:
    """Return the ground on which a label can be read where lines cross."""
    return f'<rect class="plate" x="{x - 4:.0f}" y="{y:.1f}" width="{width}" height="17" rx="4"/>'


def _counts(edge: Document) -> str:
    facts = [f"{number(edge['per_second'])}/s"]
    if edge["backlog"]:
        facts.append(f"{number(edge['backlog'])} waiting")
    if edge["in_flight"]:
        facts.append(f"{number(edge['in_flight'])} in flight")
    if edge["retries_per_second"]:
        facts.append(f"{number(edge['retries_per_second'])} retries/s")
    lost = f' · <tspan class="harm">{number(edge["lost"])} lost</tspan>' if edge["lost"] else ""
    return " · ".join(facts) + lost
