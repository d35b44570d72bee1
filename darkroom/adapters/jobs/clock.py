"""An estimate of the store's clock, read now and then instead of with each accept."""

from __future__ import annotations

import time
from collections.abc import Callable

TRUSTED_S = 10.0


class RemoteClock:
    """Safe to share between threads. Two threads that arrive together may both read the store's clock.

    A clock that is set in the meantime, or another server's clock after a failover, is noticed within TRUSTED_S.
    """

    def __init__(self, read_ms: Callable[[], int]) -> None:
        self._read_ms = read_ms
        self._seen: tuple[int, float] | None = None
        """The store's time in milliseconds, and our monotonic time in seconds when we read it."""

    def now_ms(self) -> int:
        """The store's time, or a little less: the time that the answer took to arrive is not added."""
        seen = self._seen
        if seen is None or time.monotonic() - seen[1] > TRUSTED_S:
            seen = self._seen = (self._read_ms(), time.monotonic())
        store_ms, read_at_s = seen
        return store_ms + int((time.monotonic() - read_at_s) * 1000)

    def forget(self) -> None:
        self._seen = None
