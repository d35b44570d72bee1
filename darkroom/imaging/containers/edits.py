"""Collects what to change in a body before the decoder sees it: parts to leave out, bytes to replace, a new end."""

from __future__ import annotations

from collections.abc import Iterator


class Edits:
    """Changes of one body, in the order of their offsets."""

    def __init__(self) -> None:
        self._changes: list[tuple[int, int, bytes]] = []
        self._end: int | None = None
        self._ending = b""

    def drop(self, start: int, end: int) -> None:
        """Leave out the bytes from `start` to `end`."""
        if self._changes and self._changes[-1][1] == start and not self._changes[-1][2]:
            self._changes[-1] = (self._changes[-1][0], end, b"")
        else:
            self._add(start, end, b"")

    def replace(self, start: int, data: bytes) -> None:
        """Overwrite as many bytes as `data` has."""
        self._add(start, start + len(data), data)

    def end(self, offset: int, ending: bytes) -> None:
        """Leave out everything from `offset` on and put `ending` there. The first call counts."""
        if self._end is None:
            self._end, self._ending = offset, ending

    def applied_to(self, body: bytes) -> bytes:
        """Return the changed body; the same object where nothing changes."""
        if not self._changes and self._keeps_end_of(body):
            return body
        return b"".join(self._pieces(memoryview(body)))

    def length_after(self, length: int) -> int:
        """Return the length of a body of `length` bytes once the edits are applied."""
        end = length if self._end is None else min(self._end, length)
        change = sum(len(data) - (stop - start) for start, stop, data in self._changes if stop <= end)
        return end + change + len(self._ending)

    def _keeps_end_of(self, body: bytes) -> bool:
        return self._end is None or body[self._end : self._end + len(self._ending) + 1] == self._ending

    def _add(self, start: int, end: int, data: bytes) -> None:
        self._changes.append((start, end, data))

    def _pieces(self, body: memoryview) -> Iterator[bytes | memoryview]:
        position, length = 0, len(body) if self._end is None else min(self._end, len(body))
        for start, end, data in sorted(self._changes):
            if end > length:
                break
            yield body[position:start]
            yield data
            position = end
        yield body[position:length]
        yield self._ending
