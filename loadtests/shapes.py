"""Shapes, as data: stages with a rate of visitors each, and the mix of stories that they live through.

Arrivals are open: a visitor comes at his moment, however slow the answers to those before him are. Visitors that waited
for each other's answers would become fewer just when the system slows down, and would make its percentiles look better
than they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import sqrt

from loadtests.arrivals import heavy_tailed
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
    words: str
    """Its meaning, as a format string whose numbers are filled in: {visitors}, {seconds}; the rates {first}, {least},
    {most} and {last} per second; and {most_seconds}, how long the stage with the highest rate lasts.
    """
    stages: tuple[Stage, ...]
    mix: Mapping[str, int]
    """The weight of each story (the classes of loadtests.stories)."""
    tail: float | None = None
    """The exponent of the gaps between its visitors, if they are drawn (loadtests.arrivals)."""

    @property
    def seconds(self) -> float:
        return sum(stage.seconds for stage in self.stages)

    def meaning(self, *, scale: float = 1.0) -> str:
        """Return what it does, with the numbers that it has at this scale."""
        busiest = max(self.stages, key=lambda stage: max(stage.per_s, stage.end_per_s))
        rates = [rate * scale for stage in self.stages for rate in (stage.per_s, stage.end_per_s)]
        return self.words.format(
            visitors=len(self.arrivals_s(scale=scale)),
            seconds=f"{self.seconds:g}",
            first=f"{rates[0]:.4g}",
            least=f"{min(rates):.4g}",
            most=f"{max(rates):.4g}",
            last=f"{rates[-1]:.4g}",
            most_seconds=f"{busiest.seconds:g}",
        )

    def stretched(self, stretch: float) -> Shape:
        """Return the same rates with each stage this many times as long."""
        return replace(self, stages=tuple(replace(stage, seconds=stage.seconds * stretch) for stage in self.stages))

    def without(self, story: str) -> Shape:
        return replace(self, mix={name: weight for name, weight in self.mix.items() if name != story})

    def arrivals_s(self, *, scale: float = 1.0, seed: int = 1) -> tuple[float, ...]:
        """Return when each visitor comes, in seconds after the beginning; `scale` multiplies every rate. A seed stands
        for one drawing of those that are drawn.
        """
        if self.tail is not None:
            visitors = round(sum(stage.visitors for stage in self.stages) * scale)
            return heavy_tailed(visitors, seconds=self.seconds, tail=self.tail, seed=seed)
        return self._evenly_s(scale)

    def _evenly_s(self, scale: float) -> tuple[float, ...]:
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

_HOURS = (
    28, 20, 16, 14, 16, 24, 40, 60, 72, 80, 80, 76, 72, 76, 80, 80, 76, 76, 84, 96, 100, 88, 64, 40,
)  # fmt: skip
"""The demand at each full hour, as a percentage of the busiest: a service for private users in one time zone."""


def _day(*, hour_s: float, busiest_per_s: float) -> tuple[Stage, ...]:
    rates = [percentage / 100 * busiest_per_s for percentage in _HOURS]
    following = [*rates[1:], rates[0]]
    return tuple(
        Stage(seconds=hour_s, per_s=rate, to_per_s=later) for rate, later in zip(rates, following, strict=True)
    )


SHAPES: dict[str, Shape] = {
    shape.name: shape
    for shape in (
        Shape(
            name="steady",
            words="{first} visitors a second for {seconds} s, every story",
            stages=(Stage(seconds=60, per_s=6),),
            mix=_EVERYBODY,
        ),
        Shape(
            name="burst",
            words="{visitors} pictures within {seconds} s, then nothing",
            stages=(Stage(seconds=10, per_s=50),),
            mix=_PICTURES,
        ),
        Shape(
            name="ramp",
            words="from {first} to {last} pictures a second in {seconds} s",
            stages=(Stage(seconds=90, per_s=1, to_per_s=40),),
            mix=_PICTURES,
        ),
        Shape(
            name="spike",
            words="{first} visitors a second, {most} a second for {most_seconds} s, then {last} again; every story",
            stages=(Stage(seconds=20, per_s=5), Stage(seconds=5, per_s=50), Stage(seconds=25, per_s=5)),
            mix=_EVERYBODY,
        ),
        Shape(
            name="soak",
            words="{first} visitors a second for {seconds} s, every story: for what only time brings out",
            stages=(Stage(seconds=600, per_s=4),),
            mix=_EVERYBODY,
        ),
        Shape(
            name="heavy-tailed",
            words="{visitors} pictures in {seconds} s, in clusters with long pauses between them (Pareto gaps)",
            stages=(Stage(seconds=120, per_s=4),),
            mix=_PICTURES,
            tail=1.5,
        ),
        Shape(
            name="diurnal",
            words="a day in {seconds} s: {least} pictures a second at night, {most} in the evening",
            stages=_day(hour_s=10, busiest_per_s=10),
            mix=_PICTURES,
        ),
    )
}


def shape_named(name: str) -> Shape:
    """Return the shape with this name. Raises UnknownShapeError."""
    try:
        return SHAPES[name]
    except KeyError as exc:
        raise UnknownShapeError(f"there is no shape {name!r}; there are {', '.join(SHAPES)}") from exc
