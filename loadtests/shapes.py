"""Shapes, as data: stages with a rate of visitors each, and the mix of stories that they live through.

Arrivals are open: a visitor comes at his moment, however slow the answers to those before him are. Visitors that waited
for each other's answers would become fewer just when the system slows down, and would make its percentiles look better
than they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import sqrt

from loadtests.errors import UnknownShapeError


@dataclass(frozen=True, kw_only=True)
class Stage:
    seconds: float
    per_s: float
    """Visitors per second at its beginning."""
    to_per_s: float | None = None
    """The rate at its end, if different; it changes linearly."""

    @property
    def visitors(self) -> float:
        return self.seconds * (self.per_s + self.end_per_s) / 2

    @property
    def end_per_s(self) -> float:
        return self.per_s if self.to_per_s is None else self.to_per_s

    def moment_of(self, visitor: float) -> float:
        """Return the seconds into the stage until this many have come: the integral of the rate, solved for the
        time.
        """
        growth = (self.end_per_s - self.per_s) / self.seconds
        if growth == 0:
            return visitor / self.per_s
        return (sqrt(max(0.0, self.per_s**2 + 2 * growth * visitor)) - self.per_s) / growth


@dataclass(frozen=True, kw_only=True)
class Shape:
    name: str
    meaning: str
    stages: tuple[Stage, ...]
    mix: Mapping[str, int]
    """The weight of each story (the classes of loadtests.stories)."""

    @property
    def seconds(self) -> float:
        return sum(stage.seconds for stage in self.stages)

    def stretched(self, stretch: float) -> Shape:
        """Return the same rates with each stage this many times as long."""
        return replace(self, stages=tuple(replace(stage, seconds=stage.seconds * stretch) for stage in self.stages))

    def without(self, story: str) -> Shape:
        return replace(self, mix={name: weight for name, weight in self.mix.items() if name != story})

    def arrivals_s(self, *, scale: float = 1.0) -> tuple[float, ...]:
        """Return when each visitor comes, in seconds after the beginning; `scale` multiplies every rate."""
        arrivals: list[float] = []
        stage_began_s = came_before = 0.0
        for stage in self.stages:
            come = came_before + stage.visitors * scale
            # The last digit of a product must not decide over a visitor.
            while len(arrivals) < come - 1e-6:
                arrivals.append(stage_began_s + stage.moment_of(max(0.0, len(arrivals) - came_before) / scale))
            stage_began_s, came_before = stage_began_s + stage.seconds, come
        return tuple(arrivals)


_PICTURES = {"UploadAndWait": 7, "UploadAndPoll": 3}
"""One picture per visitor."""
_EVERYBODY = {
    "UploadAndWait": 8,
    "UploadAndPoll": 4,
    "EventSender": 3,
    "BrokerRepeater": 2,
    "DuplicateSender": 2,
    "DuplicateEventSender": 2,
    "BatchImporter": 1,
}

SHAPES: dict[str, Shape] = {
    shape.name: shape
    for shape in (
        Shape(
            name="steady",
            meaning="the same rate all the time, every story",
            stages=(Stage(seconds=60, per_s=6),),
            mix=_EVERYBODY,
        ),
        Shape(
            name="burst",
            meaning="from zero: 500 pictures within 10 s, then nothing",
            stages=(Stage(seconds=10, per_s=50),),
            mix=_PICTURES,
        ),
        Shape(
            name="ramp",
            meaning="ever more, until it hurts or the ramp ends",
            stages=(Stage(seconds=90, per_s=1, to_per_s=40),),
            mix=_PICTURES,
        ),
        Shape(
            name="spike",
            meaning="five seconds of ten times the load on a busy system",
            stages=(Stage(seconds=20, per_s=5), Stage(seconds=5, per_s=50), Stage(seconds=25, per_s=5)),
            mix=_EVERYBODY,
        ),
        Shape(
            name="soak",
            meaning="ten minutes of every story, for what only time brings out",
            stages=(Stage(seconds=600, per_s=4),),
            mix=_EVERYBODY,
        ),
    )
}


def shape_named(name: str) -> Shape:
    """Return the shape with this name. Raises UnknownShapeError."""
    try:
        return SHAPES[name]
    except KeyError as exc:
        raise UnknownShapeError(f"there is no shape {name!r}; there are {', '.join(SHAPES)}") from exc
