"""Draws the graph of `GET /map`: nodes with their instances, edges with what flows on them. Everything is a link."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from darkroom.console.drawing.flow_edges import LABEL_WIDTH, edge_drawing, has_label, label_drawing, pitch
from darkroom.console.drawing.flow_nodes import SIZES, node_drawing
from darkroom.console.drawing.graph import Edge, Layers, layered
from darkroom.console.drawing.placing import placed

Document = Mapping[str, Any]

_PRIORITIES = ("source", "route", "trigger", "subscription", "dead-letter", "sink", "reply")
"""The first are drawn from left to right where edges make a circle."""
_GAP = 84


def flow_drawing(document: Document) -> str:
    """Return the SVG. What it says is in the tables below it too, so a screen reader gets its title and its links."""
    nodes = {str(node["id"]): node for node in document["nodes"]}
    edges = {
        str(edge["id"]): edge
        for edge in _without_doubles(document["edges"])
        if edge["from"] in nodes and edge["to"] in nodes
    }
    layers = layered(list(nodes), [_shape(edge) for edge in edges.values()])
    sizes = {id: SIZES[node["kind"]] for id, node in nodes.items()}
    rank_of, labelled = layers.rank_of, _gaps_with_labels(layers, edges)
    gaps = [_GAP + (LABEL_WIDTH if rank in labelled else 0) for rank in range(len(layers.ranks))]
    place = placed(layers, sizes, {id: pitch(edge) for id, edge in edges.items()}, gaps)
    links = [(edges[link.edge.id], link, index) for index, link in enumerate(layers.links)]
    parts = [
        *(
            edge_drawing(edge, link, index, layers, place, is_labelled=rank_of[link.left] in labelled)
            for edge, link, index in links
        ),
        *(node_drawing(node, place.boxes[id]) for id, node in nodes.items()),
        *(label_drawing(edge, link, index, place) for edge, link, index in links if has_label(link, edge, layers)),
    ]
    width, height = round(place.width), round(place.height)
    return (
        f'<svg class="map" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="group" '
        f'aria-label="The flow of events">{"".join(parts)}</svg>'
    )


def receivers(document: Document) -> Sequence[Document]:
    """Return the Triggers and Subscriptions, for the table below the drawing."""
    return [edge for edge in document["edges"] if edge["kind"] in ("trigger", "subscription")]


def _without_doubles(edges: Sequence[Document]) -> Sequence[Document]:
    """Return the edges, of a function that replies to where it also emits only the replies: both look the same."""
    replies = {(edge["from"], edge["to"]) for edge in edges if edge["kind"] == "reply"}
    return [edge for edge in edges if edge["kind"] != "sink" or (edge["from"], edge["to"]) not in replies]


def _shape(edge: Document) -> Edge:
    return Edge(id=edge["id"], source=edge["from"], target=edge["to"], priority=_PRIORITIES.index(edge["kind"]))


def _gaps_with_labels(layers: Layers, edges: Mapping[str, Document]) -> set[int]:
    """Return the layers behind which there are labels."""
    rank_of = layers.rank_of
    return {rank_of[link.left] for link in layers.links if has_label(link, edges[link.edge.id], layers)}
