"""The random draws of one Service.

Each kind has a stream of its own, so that settings are compared on the same draws.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from darkroom.simulate.model import ServiceModel


def stream(seed: int, *names: str) -> random.Random:
    """Return the random stream of a part of the simulation."""
    return random.Random("/".join((str(seed), *names)))  # noqa: S311 - a simulation, not a secret


class ServiceDraws:
    __slots__ = ("_failures", "_rate", "cold_start_s", "service_time_s")

    def __init__(self, model: ServiceModel, seed: int) -> None:
        self.service_time_s: Callable[[], float] = model.service_time.draw(stream(seed, model.name, "service time"))
        self.cold_start_s: Callable[[], float] = model.cold_start.alone.draw(stream(seed, model.name, "cold start"))
        self._failures = stream(seed, model.name, "failures")
        self._rate = model.failure_rate

    def fails(self) -> bool:
        return self._failures.random() < self._rate
