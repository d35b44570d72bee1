"""Our shapes as classes of locust, which its class picker shows. What each does is a row of `loadtests.shapes`.

Without the class picker the option --shape chooses among them.
"""

from __future__ import annotations

from typing import ClassVar

from locust import LoadTestShape

from loadtests.runs import RUNS
from loadtests.visitor import Visitor


class ShapeOfVisitors(LoadTestShape):
    """Calls as many visitors as should be on their way by now."""

    abstract = True
    row: ClassVar[str]
    """The name of its row."""

    def tick(self) -> tuple[int, float, list[type[Visitor]]] | None:
        return RUNS.tick()


class Steady(ShapeOfVisitors):
    row = "steady"


class Burst(ShapeOfVisitors):
    row = "burst"


class Ramp(ShapeOfVisitors):
    row = "ramp"


class Spike(ShapeOfVisitors):
    row = "spike"


class Soak(ShapeOfVisitors):
    row = "soak"


class HeavyTailed(ShapeOfVisitors):
    row = "heavy-tailed"


class Diurnal(ShapeOfVisitors):
    row = "diurnal"


SHAPE_CLASSES: dict[str, type[ShapeOfVisitors]] = {
    shape.row: shape for shape in (Steady, Burst, Ramp, Spike, Soak, HeavyTailed, Diurnal)
}
"""By the names of their rows."""
