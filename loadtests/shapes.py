"""Shapes, as data: stages with a rate of visitors each, and the mix of stories that they live through.

Arrivals are open: a visitor comes at his moment, however slow the answers to those before him are. Visitors that waited
for each other's answers would become fewer just when the system slows down, and would make its percentiles look better
than they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from darkroom import arrivals
from darkroom.arrivals import Stage
from loadtests.errors import UnknownShapeError


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
    """The exponent of the gaps between its visitors, if they are drawn (darkroom.arrivals)."""

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
        if self.tail is None:
            return arrivals.evenly_s(self.stages, scale=scale)
        visitors = round(sum(stage.visitors for stage in self.stages) * scale)
        return arrivals.heavy_tailed_s(visitors, seconds=self.seconds, tail=self.tail, seed=seed)


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


def _stages(name: str) -> tuple[Stage, ...]:
    """Return the stages of a shape that the simulator knows by the same name."""
    return arrivals.SHAPES[name].stages


SHAPES: dict[str, Shape] = {
    shape.name: shape
    for shape in (
        Shape(
            name="steady",
            words="{first} visitors a second for {seconds} s, every story",
            stages=_stages("steady"),
            mix=_EVERYBODY,
        ),
        Shape(
            name="burst",
            words="{visitors} pictures within {seconds} s, then nothing",
            stages=_stages("burst"),
            mix=_PICTURES,
        ),
        Shape(
            name="ramp",
            words="from {first} to {last} pictures a second in {seconds} s",
            stages=_stages("ramp"),
            mix=_PICTURES,
        ),
        Shape(
            name="spike",
            words="{first} visitors a second, {most} a second for {most_seconds} s, then {last} again; every story",
            stages=_stages("spike"),
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
            stages=_stages("heavy-tailed"),
            mix=_PICTURES,
            tail=1.5,
        ),
        Shape(
            name="diurnal",
            words="a day in {seconds} s: {least} pictures a second at night, {most} in the evening",
            stages=_stages("diurnal"),
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
