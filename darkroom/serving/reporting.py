"""Sets up the log, the traces and the metrics of a function's process, once, at its start."""

from __future__ import annotations

from darkroom import telemetry
from darkroom.serving.log import configure_logging, get_logger
from darkroom.telemetry import push as metrics


def begin_reporting(service: str, *, log_level: str) -> None:
    """Raises SettingsError for what OTEL_* ask for and we do not have. Nothing connects before the first report."""
    configure_logging(level=log_level, service=service)
    telemetry.begin(service, report=_report_failure)
    metrics.begin(service, report=_report_failure)


def _report_failure(error: str) -> None:
    get_logger().warning("telemetry.failed", error=error)
