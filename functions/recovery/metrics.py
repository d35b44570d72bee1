"""Pushes the metrics of all jobs, not only of recovery's own work: it is the one function that always runs again.

A value that cannot be read is left out; its absence shows in the metrics.
"""

from __future__ import annotations

from collections.abc import Callable

from darkroom.contract.errors import DependencyUnavailableError
from darkroom.events.cloudevents import CloudEvent
from darkroom.serving.log import get_logger
from darkroom.serving.resources import Resources
from darkroom.telemetry import push as metrics
from darkroom.telemetry.metric import Readings
from functions.recovery.recovery import WAKE_UP

log = get_logger()


class PipelineMetrics:
    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    def push_when_woken(self, event: CloudEvent) -> None:
        """Push in the background, and only if a collector is configured."""
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
