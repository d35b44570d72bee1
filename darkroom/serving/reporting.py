"""Sets up the log, the traces and the metrics of a function's process, once, at its start."""

from __future__ import annotations

from darkroom import telemetry
from darkroom.serving.log import configure_logging, get_logger
from darkroom.telemetry import push as metrics


def begin_reporting(service: str, *, log_level: str) -> None:
    """Start reporting. Nothing connects before the first report.

    Raises SettingsError for a value of OTEL_* that is not supported.
    """
    configure_logging(level=log_level, service=service)
    telemetry.begin(service, report=_log_failure)
    metrics.begin(service, report=_log_failure)


def _log_failure(error: str) -> None:
    get_logger().warning("telemetry.failed", error=error)
