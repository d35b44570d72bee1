"""Bounds how many bytes of requests an instance holds in memory at a time, over all and for each key.

Counted is what has come and has neither been handed to storage nor answered. A sender that is slow holds little.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from darkroom.contract.errors import RateLimitedError, ServerBusyError
from darkroom.serving.auth import NOBODY

MAX_INSTANCE_BYTES = 256 * 1024 * 1024
"""A quarter of the instance's memory limit (knative/base/ingest.yaml): a part is held twice while it is sent."""
MAX_KEY_BYTES = 224 * 1024 * 1024
"""So that one key's uploads leave room for others'."""
RETRY_AFTER_S = 2
MAX_SENDING = 8
"""How many requests send to storage at a time; what the others hold waits. More would not make storage faster."""


class BytesInFlight:
    """The bytes that one instance holds. Used from its event loop only."""

    def __init__(self, *, max_bytes: int = MAX_INSTANCE_BYTES, max_key_bytes: int = MAX_KEY_BYTES) -> None:
        self._max_bytes = max_bytes
        self._max_key_bytes = max_key_bytes
        self._by_owner: Counter[str] = Counter()
        self.held_bytes = 0
        self.sending = asyncio.Semaphore(MAX_SENDING)

    def hold(self, owner: str) -> Holding:
        """Open an account for one request. Raises ServerBusyError or RateLimitedError if there is no room at all."""
        holding = Holding(self, owner)
        self._check(owner, 0)
        return holding

    @contextmanager
    def holding(self, owner: str) -> Iterator[Holding]:
        """The account of one request, for as long as the block runs. Raises as `hold` does."""
        holding = self.hold(owner)
        try:
            yield holding
        finally:
            holding.release()

    def take(self, owner: str, size: int) -> None:
        self._check(owner, size)
        self._by_owner[owner] += size
        self.held_bytes += size

    def give_back(self, owner: str, size: int) -> None:
        self._by_owner[owner] -= size
        if not self._by_owner[owner]:
            del self._by_owner[owner]
        self.held_bytes -= size

    def _check(self, owner: str, size: int) -> None:
        if owner != NOBODY and self._by_owner[owner] + size > self._max_key_bytes:
            raise RateLimitedError(
                f"this key's uploads have {self._by_owner[owner]} bytes under way, the limit is {self._max_key_bytes}",
                retry_after_s=RETRY_AFTER_S,
            )
        if self.held_bytes + size > self._max_bytes:
            raise ServerBusyError(
                f"uploads have {self.held_bytes} bytes under way in this instance, the limit is {self._max_bytes}"
            )


class Holding:
    """What one request holds. `release` gives back the rest."""

    def __init__(self, bytes_in_flight: BytesInFlight, owner: str) -> None:
        self._all = bytes_in_flight
        self._owner = owner
        self._held = 0
        self.sending = bytes_in_flight.sending
        """To be entered while sending to storage."""

    def take(self, size: int) -> None:
        """Count bytes that have come. Raises ServerBusyError and RateLimitedError."""
        self._all.take(self._owner, size)
        self._held += size

    def give_back(self, size: int) -> None:
        self._all.give_back(self._owner, size)
        self._held -= size

    def release(self) -> None:
        self.give_back(self._held)
