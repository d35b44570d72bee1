"""Draws the nodes of the flow's graph: functions with their instances, Brokers, channels, sources, routes."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any
from urllib.parse import quote

from darkroom.console.drawing.placing import Box, Size
from darkroom.console.formats import number
from darkroom.console.rendering import BASE

Document = Mapping[str, Any]

SIZES = {
    "function": Size(width=210, height=62),
    "broker": Size(width=150, height=52),
    "channel": Size(width=176, height=52),
    "source": Size(width=160, height=50),
    "route": Size(width=160, height=50),
    "url": Size(width=190, height=44),
}
_SLOTS = 4
"""So many instances are drawn one by one; more are only counted."""
_KINDS = {"broker": "Broker", "channel": "Channel", "url": "outside"}


def node_drawing(node: Document, box: Box) -> str:
    classes = f"node {node['kind']}{' failing' if node.get('failing') else ''}"
    body = f'<rect class="body" x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width}" height="{box.height:.1f}" rx="9"/>'
    inner = body + (_function_lines(node, box) if node["kind"] == "function" else _plain_lines(node, box))
    path = node_path(node)
    linked = f'<a href="{path}">{inner}</a>' if path else inner
    return f'<g class="{classes}">{linked}</g>'


def node_path(node: Document) -> str:
    """Return the page of a node; empty if it has none."""
    where = f"{quote(node['namespace'])}/{quote(node['name'])}"
    match node["kind"]:
        case "function":
            return f"{BASE}/functions/{where}"
        case "broker":
            return f"{BASE}/events?broker={where}"
        case _:
            return ""


def cut(text: str, characters: int) -> str:
    """Return escaped text that fits; the whole of what is cut is its title."""
    if len(text) <= characters:
        return escape(text)
    return f"{escape(text[: characters - 1])}…<title>{escape(text)}</title>"


def _function_lines(node: Document, box: Box) -> str:
    x, top = box.x + 14, box.middle - 14
    slots = _slots(node)
    drawn = "".join(
        f'<rect class="slot {kind}" x="{x + place * 12:.1f}" y="{top + 19:.1f}" width="9" height="9" rx="2"/>'
        for place, kind in enumerate(slots)
    )
    words_x = x + (len(slots) * 12 + 4 if slots else 0)
    waiting = f"{number(node['waiting'])} wait" if node["waiting"] else ""
    return (
        f'<text class="name" x="{x:.1f}" y="{top + 8:.1f}">{cut(node["label"], 18 if waiting else 26)}</text>{drawn}'
        f'<text class="minor" x="{words_x:.1f}" y="{top + 28:.1f}">{instances_in_words(node)}</text>'
        f'<text class="minor" x="{box.right - 14:.1f}" y="{top + 8:.1f}" text-anchor="end">{waiting}</text>'
    )


def instances_in_words(node: Document) -> str:
    if node.get("not_run"):
        return "not run here"
    if node.get("failing"):
        return "does not start"
    if not node["ready"] and not node["wanted"]:
        return "at zero"
    return f"{node['ready']} of {node['wanted']} ready · {node['busy']} busy"


def _slots(node: Document) -> list[str]:
    """Return a class for each instance: `busy`, `ready`, `starting`, or nothing for one that is only wanted."""
    count = max(node["wanted"], node["ready"] + node["starting"])
    if node.get("failing") or count > _SLOTS:
        return []
    idle = max(0, node["ready"] - node["busy"])
    known = ["busy"] * node["busy"] + ["ready"] * idle + ["starting"] * node["starting"]
    return [*known, *[""] * (count - len(known))][:count]


def _plain_lines(node: Document, box: Box) -> str:
    x = box.x + 14
    name = f'<text class="name" x="{x:.1f}" y="{box.middle - 3:.1f}">{cut(node["name"], 20)}</text>'
    return f'{name}<text class="minor" x="{x:.1f}" y="{box.middle + 14:.1f}">{cut(_below(node), 26)}</text>'


def _below(node: Document) -> str:
    match node["kind"]:
        case "source":
            return str(node["schedule"])
        case "route":
            return ", ".join(dict.fromkeys(node["paths"]))
        case kind:
            return _KINDS[kind]
