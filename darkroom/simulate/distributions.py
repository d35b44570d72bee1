"""Durations that differ from one time to the next, as empirical distributions: samples in seconds, drawn with a seed.

A parametric distribution is an empirical one too, whose samples are its quantiles, so that there is one way to draw.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import exp, log
from statistics import NormalDist, fmean

QUANTILES = 500
"""Samples of a parametric distribution; its tail ends at the quantile 1 - 1/1000."""
_DRAWN_AT_ONCE = 256


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """Samples in seconds, each as likely as the others."""

    samples: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.samples:
            raise ValueError("a distribution needs at least one sample")
        if min(self.samples) < 0:
            raise ValueError(f"a duration must not be negative, was {min(self.samples):g} s")

    @property
    def mean_s(self) -> float:
        return fmean(self.samples)

    @classmethod
    def constant(cls, seconds: float) -> Distribution:
        return cls(samples=(seconds,))

    @classmethod
    def exponential(cls, mean_s: float) -> Distribution:
        return cls(samples=_quantiles(lambda share: -mean_s * log(1 - share)))

    @classmethod
    def lognormal(cls, median_s: float, sigma: float) -> Distribution:
        """`sigma` is the standard deviation of the logarithm: 0.5 for what is fairly regular, 1 for a long tail."""
        normal = NormalDist(log(median_s), sigma)
        return cls(samples=_quantiles(lambda share: exp(normal.inv_cdf(share))))

    def scaled(self, factor: float) -> Distribution:
        return Distribution(samples=tuple(sample * factor for sample in self.samples))

    def draw(self, stream: random.Random) -> Callable[[], float]:
        """Return a function that draws one sample per call."""
        if len(self.samples) == 1:
            only = self.samples[0]
            return lambda: only
        return _drawn(self.samples, stream).__next__


def _quantiles(value_at: Callable[[float], float]) -> tuple[float, ...]:
    return tuple(value_at((number + 0.5) / QUANTILES) for number in range(QUANTILES))


def _drawn(samples: Sequence[float], stream: random.Random) -> Iterator[float]:
    while True:
        yield from stream.choices(samples, k=_DRAWN_AT_ONCE)


@dataclass(frozen=True, kw_only=True)
class ColdStart:
    """The time from an instance's start until it is ready.

    Instances that start at the same time on the same node slow each other down: with n starts in progress there, each
    progresses at 1 / (1 + growth * (n - 1)) of the speed it has alone.
    """

    alone: Distribution
    """The time of an instance that starts while no other does."""
    growth: float = 0.0
    """0: starts do not slow each other down. 1: ten starts take ten times as long as one."""
    cpu_s: float = 0.0
    """The part of it that is CPU time and competes for the Scenario's `cores` with everything that is busy."""


CLUSTER_COLD_START = ColdStart(
    alone=Distribution(samples=(0.4, 0.4, 0.54, 0.75, 0.9, 1.0, 1.0, 1.0, 1.25, 1.25)), growth=1.0
)
"""Fitted (`fitting`) to a real cluster's burst of ten starts at once on one node of two cores, where one start alone
took 0.85 s: tests/data/cluster/cluster-burst-pods.csv."""
