"""What recovery tells an operator of all jobs, not only of its own work: it is the one function that always comes back.

Whatever cannot be read is left out; the metrics' absence tells of it.
"""

from __future__ import annotations

from collections.abc import Callable

from darkroom.contract.errors import DependencyUnavailableError
from darkroom.events.cloudevents import CloudEvent
from darkroom.serving.log import get_logger
from darkroom.serving.resources import Resources
from darkroom.telemetry import push as metrics
from darkroom.telemetry.metric import Readings
from functions.recovery.recovering import WAKE_UP

log = get_logger()


class Figures:
    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    def push_when_woken(self, event: CloudEvent) -> None:
        """In the background, and only where somebody takes them."""
        if event.type == WAKE_UP:
            metrics.push(self.read)

    def read(self) -> Readings:
        resources = self._resources
        return {
            **_readings(lambda: resources.jobs.statistics()),
            **_readings(lambda: resources.dead_letters.readings()),
        }


def _readings(ask: Callable[[], Readings]) -> Readings:
    try:
        return ask()
    except DependencyUnavailableError as exc:
        log.warning("figures.left_out", error=exc.detail)
        return {}
