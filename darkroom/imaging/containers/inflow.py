"""Holds the bytes that a walker has been given and has not consumed yet."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias, TypeVar

Result = TypeVar("Result")
Steps: TypeAlias = Generator[None, None, Result]
"""A walk that pauses where it needs more bytes than have come."""


class Inflow:
    """A window on a stream of bytes.

    A walker reads `data` from `position`. It skips by adding to `position`, which may lead beyond the bytes that have
    come: what is skipped is never held.
    """

    def __init__(self) -> None:
        self.data = b""
        self.position = 0
        self._base = 0

    def add(self, chunk: bytes) -> None:
        held = len(self.data) - self.position
        if held > 0:
            self._base += self.position
            self.data = self.data[self.position :] + chunk
            self.position = 0
        else:
            self._base += len(self.data)
            self.position = -held
            self.data = chunk

    @property
    def offset(self) -> int:
        """Offset of `position` in the stream."""
        return self._base + self.position

    @property
    def total(self) -> int:
        """Number of bytes that have come."""
        return self._base + len(self.data)

    @property
    def available(self) -> int:
        """Number of bytes from `position` on; negative where bytes that are skipped have not come."""
        return len(self.data) - self.position

    def need(self, count: int) -> Steps[None]:
        """Wait until `count` bytes are available. They are joined at every chunk, so `count` must be small."""
        while len(self.data) - self.position < count:
            yield

    def take(self, count: int) -> Steps[bytes]:
        """Consume `count` bytes and return them."""
        if self.available >= count:
            return self._next(count)
        taken = bytearray()
        while len(taken) < count:
            yield from self.need(1)
            taken += self._next(min(count - len(taken), self.available))
        return bytes(taken)

    def _next(self, count: int) -> bytes:
        start = self.position
        self.position += count
        return self.data[start : self.position]
