"""What every function does first, when its `main.py` is imported: read the environment, set up log and traces."""

from __future__ import annotations

from darkroom import telemetry
from darkroom.serving.log import configure_logging, get_logger
from darkroom.serving.resources import Resources
from darkroom.serving.settings import Settings
from darkroom.telemetry import push as metrics


def start(*, needs: frozenset[str]) -> Resources:
    """The settings and lazy resources of this process. Raises SettingsError that names what is missing or wrong."""
    settings = Settings.load(needs=needs)
    configure_logging(level=settings.log_level, service=settings.service)
    telemetry.begin(settings.service, report=_tell_of_complaint)
    metrics.begin(settings.service, report=_tell_of_complaint)
    return Resources(settings)


def _tell_of_complaint(error: str) -> None:
    get_logger().warning("telemetry.failed", error=error)
