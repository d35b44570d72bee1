"""Measures how long the gateway's responses take, by route and status."""

from __future__ import annotations

from collections.abc import Callable

from darkroom.telemetry.metric import Readings
from darkroom.telemetry.names import method_label
from darkroom.telemetry.platform_metrics import HTTP_SERVER_REQUEST_DURATION
from darkroom.telemetry.tally import Tally


class RequestTimes:
    def __init__(self, route_template: Callable[[str], str]) -> None:
        self._route_template = route_template
        self._tally = Tally(HTTP_SERVER_REQUEST_DURATION)

    def observe(self, *, method: str, path: str, status: int | None, lasted_s: float) -> None:
        """Count a request. `path` has no query; `status` is None if the client disconnected before the response."""
        labels = (method_label(method), self._route_template(path), "" if status is None else str(status))
        self._tally.observe(HTTP_SERVER_REQUEST_DURATION, *labels, value=lasted_s)

    def readings(self) -> Readings:
        return self._tally.readings()
