"""Takes back, in a thread of its own, what was accepted although the caller had to be told that it was not.

Redis may carry out an `accept`, lose its answer, and then not be reached for a while. What lies there would be done
though nobody was promised it. It is taken back as soon as Redis answers. Should this process die before, the job is
done after all: of the two mistakes that are left, the one that loses nothing.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from darkroom.contract.errors import DependencyUnavailableError

_RETRY_EVERY_S = 0.2
_MOST_WAITING = 10_000
"""Each is a hundred bytes; a store that is away for longer than this takes to fill loses the oldest."""


@dataclass(frozen=True, kw_only=True)
class Doubtful:
    """An accept of which nobody knows whether it was carried out. It cannot be any more after its deadline."""

    job_ids: tuple[UUID, ...]
    caller: str
    deadline_ms: int
    """On the store's clock."""


class Retractor:
    """`retract` returns the seconds after which to ask again, 0 when it is settled."""

    def __init__(self, retract: Callable[[Doubtful], float]) -> None:
        self._retract = retract
        self._lock = threading.Lock()
        self._waiting: deque[Doubtful] = deque(maxlen=_MOST_WAITING)
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def take_back(self, doubtful: Doubtful) -> None:
        with self._lock:
            self._waiting.append(doubtful)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="job-retractor", daemon=True)
                self._thread.start()

    def close(self) -> None:
        self._closed.set()

    def _run(self) -> None:
        while (doubtful := self._next()) is not None:
            self._settle(doubtful)

    def _next(self) -> Doubtful | None:
        """None: there is nothing left, and the thread ends."""
        with self._lock:
            if self._waiting and not self._closed.is_set():
                return self._waiting.popleft()
            self._thread = None
            return None

    def _settle(self, doubtful: Doubtful) -> None:
        while not self._closed.is_set():
            try:
                wait_s = self._retract(doubtful)
            except DependencyUnavailableError:
                wait_s = _RETRY_EVERY_S
            if wait_s == 0:
                return
            time.sleep(wait_s)
