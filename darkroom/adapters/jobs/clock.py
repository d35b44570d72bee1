"""The store's clock as it is seen from here, asked for now and then instead of with each accept."""

from __future__ import annotations

import time
from collections.abc import Callable

TRUSTED_S = 10.0


class RemoteClock:
    """Safe to share between threads: whoever comes first asks, and two who come together both do.

    A clock that is set meanwhile, or another server's after a failover, is noticed after TRUSTED_S at the latest.
    """

    def __init__(self, ask_ms: Callable[[], int]) -> None:
        self._ask_ms = ask_ms
        self._seen: tuple[int, float] | None = None
        """Its time, and ours when we were told."""

    def now_ms(self) -> int:
        """At the earliest: what the answer's way took has not been added."""
        seen = self._seen
        if seen is None or time.monotonic() - seen[1] > TRUSTED_S:
            seen = self._seen = (self._ask_ms(), time.monotonic())
        told_ms, told_at_s = seen
        return told_ms + int((time.monotonic() - told_at_s) * 1000)

    def forget(self) -> None:
        self._seen = None
