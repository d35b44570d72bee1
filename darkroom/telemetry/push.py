"""Pushes metrics by OTLP, through an API that works the same whether or not pushing is on.

Pushing is off when no OTLP endpoint is set. Then every call here returns at once and OpenTelemetry's SDK is never
imported. When it is on, a process has one thread for its requests and one for its service's readings, started on first
use, which in gunicorn's workers is after the fork. No caller waits for these threads or for the collector.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from darkroom.telemetry.metric import Readings
from darkroom.telemetry.switch import metrics_are_wanted

if TYPE_CHECKING:
    from darkroom.telemetry.otlp_metrics import OtlpMetrics

ReportWarning = Callable[[str], None]

_make_exporter: Callable[[], OtlpMetrics] | None = None
"""None: pushing is off."""
_exporter: OtlpMetrics | None = None


def begin(service: str, *, report: ReportWarning, environment: Mapping[str, str] | None = None) -> None:
    """Switch pushing on if the environment asks for it. Call it once per process, at startup.

    Raises SettingsError if OTEL_* require something unsupported.
    """
    global _make_exporter
    if not metrics_are_wanted(os.environ if environment is None else environment):
        return
    # Imported in the master, so that its workers share the modules.
    from darkroom.telemetry import otlp_metrics

    _make_exporter = partial(otlp_metrics.OtlpMetrics, service, report)


def is_on() -> bool:
    return _make_exporter is not None


def observe_request(*, method: str, route: str, status: int, lasted_s: float) -> None:
    """Count an answered HTTP request; pushed at intervals and at exit. `route` is a template, or empty."""
    if _make_exporter is not None:
        _the_exporter().observe_request(method=method, route=route, status=status, lasted_s=lasted_s)


def push(read: Callable[[], Readings]) -> None:
    """Have readings taken and pushed soon, by a background thread.

    They belong to the service, not to this process: their counts continue from one instance to the next.
    """
    if _make_exporter is not None:
        _the_exporter().push(read)


def _the_exporter() -> OtlpMetrics:
    global _exporter
    if _exporter is None:
        if _make_exporter is None:
            raise RuntimeError("metrics are off")
        _exporter = _make_exporter()
    return _exporter
