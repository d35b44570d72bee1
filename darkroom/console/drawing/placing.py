"""Where the nodes of a layered graph stand, and at which points its edges arrive: pixels, from the layers' order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from darkroom.console.drawing.graph import Layers, Link

GAP_Y = 18
BEND_HEIGHT = 22
MARGIN = 8
_PASSES = 6
_LEAVING_PITCH = 10
"""The room between edges where they leave a node."""


@dataclass(frozen=True, kw_only=True)
class Size:
    width: int
    height: int


@dataclass(kw_only=True)
class Box:
    x: float
    y: float
    """Its upper left corner."""
    width: float
    height: float

    @property
    def middle(self) -> float:
        return self.y + self.height / 2

    @property
    def right(self) -> float:
        return self.x + self.width


@dataclass(frozen=True, kw_only=True)
class Placed:
    boxes: Mapping[str, Box]
    starts: Mapping[int, float]
    """The height at which each link leaves its left node, by its place among the links."""
    ends: Mapping[int, float]
    width: float
    height: float


def placed(layers: Layers, sizes: Mapping[str, Size], pitches: Mapping[str, int], gaps: Sequence[int]) -> Placed:
    """Place the nodes. `pitches` is the room that each edge needs where it arrives, by its id; `gaps` the room between
    each layer and the next.
    """
    arriving, leaving = _by_end(layers.links, right=True), _by_end(layers.links, right=False)
    boxes = _boxes(layers, sizes, _needed_heights(layers, pitches, arriving, leaving), gaps)
    for number in range(_PASSES):
        is_forth = number % 2 == 0
        for rank in layers.ranks if is_forth else reversed(layers.ranks):
            _align(rank, boxes, arriving if is_forth else leaving, layers.links, is_forth=is_forth)
    lowest = min((box.y for box in boxes.values()), default=0)
    for box in boxes.values():
        box.y += MARGIN - lowest
    return Placed(
        boxes=boxes,
        starts=_ports(leaving, boxes, layers.links, lambda _: _LEAVING_PITCH, right=False),
        ends=_ports(arriving, boxes, layers.links, lambda link: pitches[link.edge.id], right=True),
        width=max((box.right for box in boxes.values()), default=0) + MARGIN,
        height=max((box.y + box.height for box in boxes.values()), default=0) + MARGIN,
    )


def _by_end(links: Sequence[Link], *, right: bool) -> dict[str, list[int]]:
    found = defaultdict[str, list[int]](list)
    for number, link in enumerate(links):
        found[link.right if right else link.left].append(number)
    return dict(found)


def _needed_heights(
    layers: Layers, pitches: Mapping[str, int], arriving: Mapping[str, list[int]], leaving: Mapping[str, list[int]]
) -> dict[str, float]:
    """Return the height that each node needs for its edges on both sides."""
    left = {
        node: sum(pitches[layers.links[number].edge.id] for number in numbers) for node, numbers in arriving.items()
    }
    right = {node: _LEAVING_PITCH * len(numbers) for node, numbers in leaving.items()}
    return {node: max(left.get(node, 0), right.get(node, 0)) for node in {*left, *right}}


def _boxes(
    layers: Layers,
    sizes: Mapping[str, Size],
    needed: Mapping[str, float],
    gaps: Sequence[int],
) -> dict[str, Box]:
    boxes: dict[str, Box] = {}
    x = float(MARGIN)
    for index, rank in enumerate(layers.ranks):
        width = max((sizes[node].width for node in rank if node in sizes), default=0)
        y = 0.0
        for node in rank:
            height = max(sizes[node].height, needed.get(node, 0)) if node in sizes else BEND_HEIGHT
            own_width = sizes[node].width if node in sizes else width
            boxes[node] = Box(x=x + (width - own_width) / 2, y=y, width=own_width, height=height)
            y += height + GAP_Y
        x += width + (gaps[index] if index < len(gaps) else 0)
    return boxes


def _align(
    rank: Sequence[str],
    boxes: Mapping[str, Box],
    linked: Mapping[str, list[int]],
    links: Sequence[Link],
    *,
    is_forth: bool,
) -> None:
    """Move a layer's nodes towards the mean height of their neighbours, without changing their order."""
    wanted = []
    for node in rank:
        own = [links[number] for number in linked.get(node, ())]
        beside = [boxes[link.left if is_forth else link.right].middle for link in own]
        wanted.append((sum(beside) / len(beside) if beside else boxes[node].middle) - boxes[node].height / 2)
    heights = [boxes[node].height + GAP_Y for node in rank]
    for node, y in zip(rank, _spread(wanted, heights), strict=True):
        boxes[node].y = y


def _spread(wanted: Sequence[float], heights: Sequence[float]) -> list[float]:
    """Return places in order that do not overlap and are nearest to those wanted, in the sense of least squares.

    Neighbours that would overlap become one block, which stands at the mean of what its members want.
    """
    blocks: list[tuple[list[float], float]] = []
    """What each member wants of the block's beginning, and the block's height."""
    for want, height in zip(wanted, heights, strict=True):
        members, total = [want], height
        while blocks and _mean(blocks[-1][0]) + blocks[-1][1] > _mean(members):
            earlier, before = blocks.pop()
            members, total = [*earlier, *(each - before for each in members)], before + total
        blocks.append((members, total))
    places: list[float] = []
    for members, _ in blocks:
        y = _mean(members)
        for _ in members:
            places.append(y)
            y += heights[len(places) - 1]
    return places


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _ports(
    linked: Mapping[str, list[int]],
    boxes: Mapping[str, Box],
    links: Sequence[Link],
    room: Callable[[Link], int],
    *,
    right: bool,
) -> dict[int, float]:
    """Return the height at which each link meets its node: those of a node stand one below the other, around its
    middle, in the order of their other ends.
    """
    heights: dict[int, float] = {}
    for node, numbers in linked.items():
        box = boxes[node]
        ordered = sorted(numbers, key=lambda number: boxes[links[number].left if right else links[number].right].middle)
        wanted = [room(links[number]) for number in ordered]
        scale = min(1.0, box.height / sum(wanted))
        y = box.middle - sum(wanted) * scale / 2
        for number, height in zip(ordered, wanted, strict=True):
            heights[number] = y + height * scale / 2
            y += height * scale
    return heights
