"""A graph to be laid out in layers from left to right (Sugiyama, Tagawa and Toda, 1981): its layers and their order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_SWEEPS = 8


@dataclass(frozen=True, kw_only=True)
class Edge:
    id: str
    source: str
    target: str
    priority: int = 0
    """Of edges that make a circle, the one with the largest number is drawn against the direction."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """An edge's part from one layer to the next."""

    edge: Edge
    left: str
    right: str


@dataclass(kw_only=True)
class Layers:
    ranks: list[list[str]]
    """The nodes of each layer from top to bottom, with bends: places through which long edges pass."""
    links: list[Link] = field(default_factory=list)
    backward: frozenset[str] = frozenset()
    """The ids of edges that are drawn from right to left."""
    bends: frozenset[str] = frozenset()

    @property
    def rank_of(self) -> Mapping[str, int]:
        """Return the layer of each node and bend."""
        return {node: index for index, rank in enumerate(self.ranks) for node in rank}


def layered(nodes: Sequence[str], edges: Sequence[Edge]) -> Layers:
    """Assign nodes to layers so that as many edges as possible lead to the right, and order each layer so that few of
    them cross. Edges from a node to itself are left out.
    """
    edges = [edge for edge in edges if edge.source != edge.target]
    backward = _backward(nodes, edges)
    ends = {edge.id: _ends(edge, backward) for edge in edges}
    ranks = _ranks(nodes, list(ends.values()))
    layers = Layers(ranks=[[] for _ in range(max(ranks.values(), default=-1) + 1)], backward=backward)
    for node in nodes:
        layers.ranks[ranks[node]].append(node)
    bends = set[str]()
    for edge in edges:
        left, right = ends[edge.id]
        bends |= _add_links(layers, edge, left, right, ranks)
    layers.bends = frozenset(bends)
    _order(layers)
    return layers


def _ends(edge: Edge, backward: frozenset[str]) -> tuple[str, str]:
    return (edge.target, edge.source) if edge.id in backward else (edge.source, edge.target)


def _backward(nodes: Sequence[str], edges: Sequence[Edge]) -> frozenset[str]:
    """Return the edges that would close a circle, if edges are added in the order of their priorities."""
    reached: dict[str, set[str]] = {node: {node} for node in nodes}
    """What can be reached from each node."""
    found = set[str]()
    for edge in sorted(edges, key=lambda one: one.priority):
        if edge.source in reached[edge.target]:
            found.add(edge.id)
            continue
        for node in nodes:
            if edge.source in reached[node]:
                reached[node] |= reached[edge.target]
    return frozenset(found)


def _ranks(nodes: Sequence[str], ends: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Return each node's layer: one more than the largest before it. What nothing leads to stands beside its target."""
    before, after = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
    for left, right in ends:
        before[right].add(left)
        after[left].add(right)
    ranks: dict[str, int] = {}

    def rank(node: str) -> int:
        if node not in ranks:
            ranks[node] = max((rank(one) + 1 for one in before[node]), default=0)
        return ranks[node]

    for node in nodes:
        rank(node)
    for node in nodes:
        if not before[node] and after[node]:
            ranks[node] = min(ranks[one] for one in after[node]) - 1
    return ranks


def _add_links(layers: Layers, edge: Edge, left: str, right: str, ranks: Mapping[str, int]) -> set[str]:
    """Split an edge at each layer that it passes; returns its bends."""
    bends = set[str]()
    for rank in range(ranks[left] + 1, ranks[right]):
        bend = f"bend:{rank}:{edge.id}"
        layers.ranks[rank].append(bend)
        layers.links.append(Link(edge=edge, left=left, right=bend))
        bends.add(bend)
        left = bend
    layers.links.append(Link(edge=edge, left=left, right=right))
    return bends


def _order(layers: Layers) -> None:
    """Sort each layer by the mean place of its neighbours, forth and back. The fewest crossings seen are kept."""
    best, fewest = [list(rank) for rank in layers.ranks], _crossings(layers)
    for sweep in range(_SWEEPS):
        is_forth = sweep % 2 == 0
        indices = range(1, len(layers.ranks)) if is_forth else range(len(layers.ranks) - 2, -1, -1)
        for index in indices:
            _sort_by_neighbours(layers, index, index - 1 if is_forth else index + 1)
        crossings = _crossings(layers)
        if crossings < fewest:
            best, fewest = [list(rank) for rank in layers.ranks], crossings
    layers.ranks = best


def _sort_by_neighbours(layers: Layers, index: int, beside: int) -> None:
    places = {node: place for place, node in enumerate(layers.ranks[beside])}
    neighbours = defaultdict[str, list[int]](list)
    for link in layers.links:
        for one, other in ((link.left, link.right), (link.right, link.left)):
            if other in places:
                neighbours[one].append(places[other])
    own = {node: float(place) for place, node in enumerate(layers.ranks[index])}
    mean = {node: sum(found) / len(found) if (found := neighbours[node]) else place for node, place in own.items()}
    layers.ranks[index].sort(key=lambda node: (mean[node], own[node]))


def _crossings(layers: Layers) -> int:
    place = {node: place for rank in layers.ranks for place, node in enumerate(rank)}
    rank_of = layers.rank_of
    between = defaultdict[int, list[tuple[int, int]]](list)
    for link in layers.links:
        between[rank_of[link.left]].append((place[link.left], place[link.right]))
    return sum(
        (one[0] - other[0]) * (one[1] - other[1]) < 0
        for links in between.values()
        for number, one in enumerate(links)
        for other in links[:number]
    )
