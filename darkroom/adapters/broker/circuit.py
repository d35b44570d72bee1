"""A circuit breaker that opens after consecutive failures, so that no caller waits for a dependency known to be down.

Pure, apart from the clock, which is passed in.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Circuit:
    """Closed: every call passes. Open: none does for `open_s`; then one call passes as a probe, and the next only
    `open_s` later, until one succeeds.
    """

    def __init__(
        self, *, failures_to_open: int = 3, open_s: float = 2.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._failures_to_open = failures_to_open
        self._open_s = open_s
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._open_until: float | None = None

    @property
    def is_closed(self) -> bool:
        with self._lock:
            return self._open_until is None

    def may_pass(self) -> bool:
        """Ask before each call. While the circuit is open, True makes the caller's call the probe."""
        with self._lock:
            if self._open_until is None:
                return True
            if self._clock() < self._open_until:
                return False
            self._open_until = self._clock() + self._open_s
            return True

    def succeeded(self) -> None:
        with self._lock:
            self._failures = 0
            self._open_until = None

    def failed(self) -> None:
        with self._lock:
            self._failures += 1
            if self._failures >= self._failures_to_open:
                self._open_until = self._clock() + self._open_s
