"""What OpenTelemetry logs of itself, a collector that is not there above all: told in our words, and seldom."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from darkroom.redaction import redacted

TELL_EVERY_S = 60.0
_SHOWN_CHARACTERS = 300


class _Complaints(logging.Handler):
    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell
        self._told_at_s: float | None = None
        self._untold = 0

    def emit(self, record: logging.LogRecord) -> None:
        now_s = time.monotonic()
        if self._told_at_s is not None and now_s - self._told_at_s < TELL_EVERY_S:
            self._untold += 1
            return
        more = f" (and {self._untold} more since)" if self._untold else ""
        self._told_at_s, self._untold = now_s, 0
        self._tell(redacted(record.getMessage())[:_SHOWN_CHARACTERS] + more)


def quieten(tell: Callable[[str], None]) -> None:
    logger = logging.getLogger("opentelemetry")
    logger.propagate = False
    logger.handlers = [_Complaints(tell)]
