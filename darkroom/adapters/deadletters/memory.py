"""Dead letters in memory, for tests. Passes the same contract suite as the stream."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime

from darkroom.adapters.deadletters import DeadLetter, KeptDeadLetter
from darkroom.contract.errors import DependencyUnavailableError
from darkroom.contract.metrics import DEAD_LETTERS
from darkroom.telemetry.metric import Readings

_DUPLICATE_WINDOW_S = 120.0


class MemoryDeadLetters:
    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        """Start empty. `clock` returns seconds since the epoch."""
        self.is_down = False
        """While True, every call fails as if the stream did not answer."""
        self._clock = clock
        self._lock = threading.Lock()
        self._sequence = 0
        self._kept: dict[int, KeptDeadLetter] = {}
        self._keys: dict[str, tuple[int, float]] = {}

    def keep(self, letter: DeadLetter, *, key: str) -> int:
        self.check()
        with self._lock:
            known = self._keys.get(key)
            if known is not None and self._clock() - known[1] < _DUPLICATE_WINDOW_S:
                return known[0]
            self._sequence += 1
            kept_at = datetime.fromtimestamp(self._clock(), tz=UTC)
            self._kept[self._sequence] = KeptDeadLetter(sequence=self._sequence, kept_at=kept_at, letter=letter)
            self._keys[key] = (self._sequence, self._clock())
            return self._sequence

    def list(self, *, limit: int = 100, after: int = 0) -> list[KeptDeadLetter]:
        self.check()
        with self._lock:
            return [self._kept[sequence] for sequence in sorted(self._kept) if sequence > after][:limit]

    def get(self, sequence: int) -> KeptDeadLetter | None:
        self.check()
        with self._lock:
            return self._kept.get(sequence)

    def drop(self, sequence: int) -> bool:
        self.check()
        with self._lock:
            return self._kept.pop(sequence, None) is not None

    def erase(self, job_ids: Collection[str]) -> int:
        self.check()
        with self._lock:
            found = [number for number, kept in self._kept.items() if any(one in repr(kept.letter) for one in job_ids)]
            for number in found:
                del self._kept[number]
            return len(found)

    def readings(self) -> Readings:
        self.check()
        return {DEAD_LETTERS: {(): len(self._kept)}}

    def prepare(self) -> None:
        self.check()

    def check(self) -> None:
        if self.is_down:
            raise DependencyUnavailableError("deadletters", "it was taken down by the test")
