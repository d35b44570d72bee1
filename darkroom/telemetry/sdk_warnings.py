"""Reports what OpenTelemetry's SDK logs about itself, such as an unreachable collector, at most once a minute."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from darkroom.redaction import redacted

REPORT_EVERY_S = 60.0
_SHOWN_CHARACTERS = 300


class _RateLimitedHandler(logging.Handler):
    def __init__(self, report: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._report = report
        self._reported_at_s: float | None = None
        self._suppressed = 0

    def emit(self, record: logging.LogRecord) -> None:
        now_s = time.monotonic()
        if self._reported_at_s is not None and now_s - self._reported_at_s < REPORT_EVERY_S:
            self._suppressed += 1
            return
        more = f" (and {self._suppressed} more since)" if self._suppressed else ""
        self._reported_at_s, self._suppressed = now_s, 0
        self._report(redacted(record.getMessage())[:_SHOWN_CHARACTERS] + more)


def report_sdk_warnings(report: Callable[[str], None]) -> None:
    """Send the SDK's warnings to `report`, redacted and rate-limited, instead of the log."""
    logger = logging.getLogger("opentelemetry")
    logger.propagate = False
    logger.handlers = [_RateLimitedHandler(report)]
