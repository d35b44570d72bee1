"""When requests arrive: shapes of load as stages of rates, and the times that follow from them. Pure.

The load tests send at these times, and the simulator computes with them. Who sends what is not decided here.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain


@dataclass(frozen=True, kw_only=True)
class Stage:
    seconds: float
    per_s: float
    """Arrivals per second at its beginning."""
    to_per_s: float | None = None
    """The rate at its end, if different; it changes linearly."""

    @property
    def arrivals(self) -> float:
        return self.seconds * (self.per_s + self.end_per_s) / 2

    @property
    def end_per_s(self) -> float:
        return self.per_s if self.to_per_s is None else self.to_per_s

    def moment_of(self, arrival: float) -> float:
        """Return the seconds into the stage until this many have come: the integral of the rate, solved for the
        time.
        """
        growth = (self.end_per_s - self.per_s) / self.seconds
        if growth == 0:
            return arrival / self.per_s
        return (math.sqrt(max(0.0, self.per_s**2 + 2 * growth * arrival)) - self.per_s) / growth


def arrivals_s(stages: Sequence[Stage], *, scale: float = 1.0) -> tuple[float, ...]:
    """Return when each request arrives, in seconds after the beginning; `scale` multiplies every rate."""
    arrivals: list[float] = []
    stage_began_s = came_before = 0.0
    for stage in stages:
        come = came_before + stage.arrivals * scale
        # The last digit of a product must not decide over an arrival.
        while len(arrivals) < come - 1e-6:
            arrivals.append(stage_began_s + stage.moment_of(max(0.0, len(arrivals) - came_before) / scale))
        stage_began_s, came_before = stage_began_s + stage.seconds, come
    return tuple(arrivals)


@dataclass(frozen=True, kw_only=True)
class ArrivalShape:
    name: str
    meaning: str
    stages: tuple[Stage, ...]

    @property
    def seconds(self) -> float:
        return sum(stage.seconds for stage in self.stages)

    def stretched(self, stretch: float) -> ArrivalShape:
        """Return the same rates with each stage this many times as long."""
        return replace(self, stages=tuple(replace(stage, seconds=stage.seconds * stretch) for stage in self.stages))

    def arrivals_s(self, *, scale: float = 1.0) -> tuple[float, ...]:
        return arrivals_s(self.stages, scale=scale)


def on_off(*, on_s: float, off_s: float, per_s: float, times: int) -> tuple[Stage, ...]:
    """Return stages in which a steady rate and silence alternate, beginning and ending with the rate."""
    pair = (Stage(seconds=on_s, per_s=per_s), Stage(seconds=off_s, per_s=0))
    return (*chain.from_iterable([pair] * (times - 1)), pair[0])


def heavy_tailed(*, seconds: float, per_s: float, seed: int = 1, alpha: float = 1.5) -> tuple[Stage, ...]:
    """Return stages of a second each whose rates follow a Pareto distribution with this mean, capped at 20 times it.

    With an `alpha` below 2 the variance has no bound: most seconds are quiet, and a few bring a large part of
    everything, as users do who upload whole folders.
    """
    draw = random.Random(seed)  # noqa: S311 - a load, not a secret
    lowest = per_s * (alpha - 1) / alpha
    rates = [min(lowest * draw.paretovariate(alpha), 20 * per_s) for _ in range(round(seconds))]
    scale = per_s * len(rates) / sum(rates)
    return tuple(Stage(seconds=1, per_s=rate * scale) for rate in rates)


def diurnal(*, seconds: float, per_s: float, trough: float = 0.1, steps: int = 24) -> tuple[Stage, ...]:
    """Return one day of this many seconds: a cosine from the night's rate to the noon's and back. `per_s` is the
    noon's rate, and `trough` the night's share of it.
    """
    middle, swing = (1 + trough) / 2, (1 - trough) / 2
    rates = [per_s * (middle - swing * math.cos(2 * math.pi * step / steps)) for step in range(steps + 1)]
    return tuple(
        Stage(seconds=seconds / steps, per_s=rates[step], to_per_s=rates[step + 1]) for step in range(steps)
    )


SHAPES: dict[str, ArrivalShape] = {
    shape.name: shape
    for shape in (
        ArrivalShape(name="steady", meaning="the same rate all the time", stages=(Stage(seconds=60, per_s=6),)),
        ArrivalShape(
            name="burst",
            meaning="from zero: 500 requests within 10 s, then nothing",
            stages=(Stage(seconds=10, per_s=50),),
        ),
        ArrivalShape(
            name="ramp",
            meaning="from 1 to 40 a second within 90 s",
            stages=(Stage(seconds=90, per_s=1, to_per_s=40),),
        ),
        ArrivalShape(
            name="spike",
            meaning="five seconds of ten times the load",
            stages=(Stage(seconds=20, per_s=5), Stage(seconds=5, per_s=50), Stage(seconds=25, per_s=5)),
        ),
        ArrivalShape(
            name="on-off",
            meaning="20 s of load, 45 s of silence, four times: about the time after which instances are given back",
            stages=on_off(on_s=20, off_s=45, per_s=5, times=4),
        ),
        ArrivalShape(
            name="heavy-tailed",
            meaning="seconds of silence, and a few that bring most of the requests (Pareto, 6 a second on average)",
            stages=heavy_tailed(seconds=120, per_s=6),
        ),
        ArrivalShape(
            name="diurnal",
            meaning="a day in twelve minutes: from 1 a second at night to 10 at noon and back",
            stages=diurnal(seconds=720, per_s=10),
        ),
    )
}
