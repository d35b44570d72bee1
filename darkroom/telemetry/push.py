"""Metrics pushed by OTLP, for serving code that does not want to know whether anybody takes them.

Off, which is where no OTLP endpoint is set, every call here returns at once, and nothing of OpenTelemetry's SDK is ever
imported. On, a process has a thread for each thing that it tells, begun on first use: in gunicorn's worker, that is,
after the fork. Nobody waits for it, nor for the collector.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from darkroom.telemetry.metric import Readings
from darkroom.telemetry.switch import metrics_are_wanted

if TYPE_CHECKING:
    from darkroom.telemetry.pushing import Pushing

Tell = Callable[[str], None]

_make: Callable[[], Pushing] | None = None
"""None: off."""
_pushing: Pushing | None = None


def begin(service: str, *, tell: Tell, environment: Mapping[str, str] | None = None) -> None:
    """Once a process, at start. Raises SettingsError for what OTEL_* ask for and we do not have."""
    global _make
    if not metrics_are_wanted(os.environ if environment is None else environment):
        return
    # In the master, so that its workers share the modules.
    from darkroom.telemetry import pushing

    _make = lambda: pushing.Pushing(service, tell)  # noqa: E731 - a name for it would say nothing more


def is_on() -> bool:
    return _make is not None


def observe_request(*, method: str, route: str, status: int, lasted_s: float) -> None:
    """An HTTP request that was answered; `route` is its template, or empty. Pushed now and then, and at exit."""
    if _make is not None:
        _begun().observe_request(method=method, route=route, status=status, lasted_s=lasted_s)


def push(read: Callable[[], Readings]) -> None:
    """Have these read and pushed soon, by the thread that does so. What is read is the service's, not the process's:
    counts that go on from one instance to the next."""
    if _make is not None:
        _begun().push(read)


def _begun() -> Pushing:
    global _pushing
    if _pushing is None:
        if _make is None:
            raise RuntimeError("metrics are off")
        _pushing = _make()
    return _pushing
