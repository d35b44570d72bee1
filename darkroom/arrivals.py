"""When requests arrive: shapes of load as stages of rates, and the times that follow from them. Pure.

The load tests send at these times, and the simulator computes with them. Who sends what is not decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, chain
from math import sqrt
from random import Random


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


def evenly_s(stages: Sequence[Stage], *, scale: float = 1.0) -> tuple[float, ...]:
    """Return when each visitor comes, in seconds after the beginning; `scale` multiplies every rate."""
    arrivals: list[float] = []
    stage_began_s = came_before = 0.0
    for stage in stages:
        come = came_before + stage.visitors * scale
        # The last digit of a product must not decide over a visitor.
        while len(arrivals) < come - 1e-6:
            arrivals.append(stage_began_s + stage.moment_of(max(0.0, len(arrivals) - came_before) / scale))
        stage_began_s, came_before = stage_began_s + stage.seconds, come
    return tuple(arrivals)


def heavy_tailed_s(visitors: int, *, seconds: float, tail: float, seed: int) -> tuple[float, ...]:
    """Return when each visitor comes if the gaps between them follow a Pareto distribution that begins at zero (Lomax),
    with the exponent `tail`.

    With an exponent of at most 2 the variance of the gaps is infinite: such traffic comes in clusters on every time
    scale, which averages hide and autoscalers feel (W. E. Leland et al., "On the self-similar nature of Ethernet
    traffic", 1994; M. E. Crovella and A. Bestavros, "Self-similarity in World Wide Web traffic", 1997).
    """
    draw = Random(seed)  # noqa: S311 - arrivals, not secrets
    gaps = [draw.paretovariate(tail) - 1 for _ in range(visitors)]
    share = seconds / sum(gaps) if gaps else 0.0
    # The first gap is the pause after the last visitor, so that the first one comes at once.
    return tuple(share * gap for gap in accumulate([0.0, *gaps[1:]])) if gaps else ()


@dataclass(frozen=True, kw_only=True)
class ArrivalShape:
    name: str
    meaning: str
    stages: tuple[Stage, ...]
    tail: float | None = None
    """The exponent of the gaps between visitors, if they are drawn (`heavy_tailed_s`)."""

    @property
    def seconds(self) -> float:
        return sum(stage.seconds for stage in self.stages)

    @property
    def visitors(self) -> float:
        return sum(stage.visitors for stage in self.stages)

    def stretched(self, stretch: float) -> ArrivalShape:
        """Return the same rates with each stage this many times as long."""
        return replace(self, stages=tuple(replace(stage, seconds=stage.seconds * stretch) for stage in self.stages))

    def arrivals_s(self, *, scale: float = 1.0, seed: int = 1) -> tuple[float, ...]:
        """Return when each visitor comes; a seed stands for one drawing of those that are drawn."""
        if self.tail is None:
            return evenly_s(self.stages, scale=scale)
        return heavy_tailed_s(round(self.visitors * scale), seconds=self.seconds, tail=self.tail, seed=seed)


def on_off(*, on_s: float, off_s: float, per_s: float, times: int) -> tuple[Stage, ...]:
    """Return stages in which a steady rate and silence alternate, beginning and ending with the rate."""
    pair = (Stage(seconds=on_s, per_s=per_s), Stage(seconds=off_s, per_s=0))
    return (*chain.from_iterable([pair] * (times - 1)), pair[0])


_HOURS = (
    28, 20, 16, 14, 16, 24, 40, 60, 72, 80, 80, 76, 72, 76, 80, 80, 76, 76, 84, 96, 100, 88, 64, 40,
)  # fmt: skip
"""The demand at each full hour, as a percentage of the busiest: a service for private users in one time zone."""


def day(*, hour_s: float, busiest_per_s: float) -> tuple[Stage, ...]:
    """Return the 24 hours of a day, each of which takes `hour_s`."""
    rates = [percentage / 100 * busiest_per_s for percentage in _HOURS]
    following = [*rates[1:], rates[0]]
    return tuple(
        Stage(seconds=hour_s, per_s=rate, to_per_s=later) for rate, later in zip(rates, following, strict=True)
    )


SHAPES: dict[str, ArrivalShape] = {
    shape.name: shape
    for shape in (
        ArrivalShape(name="steady", meaning="6 a second for 60 s", stages=(Stage(seconds=60, per_s=6),)),
        ArrivalShape(
            name="burst", meaning="from zero: 500 within 10 s, then nothing", stages=(Stage(seconds=10, per_s=50),)
        ),
        ArrivalShape(
            name="ramp", meaning="from 1 to 40 a second in 90 s", stages=(Stage(seconds=90, per_s=1, to_per_s=40),)
        ),
        ArrivalShape(
            name="spike",
            meaning="5 a second, ten times as many for 5 s, then 5 again",
            stages=(Stage(seconds=20, per_s=5), Stage(seconds=5, per_s=50), Stage(seconds=25, per_s=5)),
        ),
        ArrivalShape(
            name="on-off",
            meaning="20 s of load and 45 s of silence, four times",
            stages=on_off(on_s=20, off_s=45, per_s=5, times=4),
        ),
        ArrivalShape(
            name="heavy-tailed",
            meaning="480 within 120 s, in clusters with long pauses between them (Pareto gaps)",
            stages=(Stage(seconds=120, per_s=4),),
            tail=1.5,
        ),
        ArrivalShape(
            name="diurnal",
            meaning="a day in 240 s: 1.4 a second at night, 10 in the evening",
            stages=day(hour_s=10, busiest_per_s=10),
        ),
    )
}
