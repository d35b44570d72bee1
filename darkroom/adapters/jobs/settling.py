"""Settles, in a thread of its own, what a lost answer left open in the store.

Redis may carry out a call, lose its answer, and then be unreachable for a while. The caller got an error that means
"nothing was done", and acts on it:

- A POST was refused, so its job is retracted (lua/retract.lua).
- A delivery was deferred, so its claim is withdrawn and does not count as an attempt (lua/withdraw.lua).
- A job was released, so the release is repeated until Redis answers it.

Each request is sent as soon as Redis answers again. If this process dies first, the store keeps what it has: the job is
done although its POST was refused, and the claim counts as an attempt of a worker that died. Both err on the safe side:
no job is lost, and no picture is tried too often.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from darkroom.contract.errors import DependencyUnavailableError

_RETRY_EVERY_S = 0.2
_MAX_WAITING = 10_000
"""Each request takes a few hundred bytes. When the queue is full, the oldest request is dropped."""

Request = Callable[[], bool]
"""Calls the store and returns whether the matter is settled. If not, or if there was no answer, it is called again."""


class Settler:
    """Sends one request after the other. One that is not settled goes to the end of the queue, so that each request is
    still carried out when every answer is lost."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Request] = deque(maxlen=_MAX_WAITING)
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    @property
    def is_idle(self) -> bool:
        """Whether everything is settled."""
        return self._thread is None

    def settle(self, request: Request) -> None:
        with self._lock:
            self._waiting.append(request)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="job-settler", daemon=True)
                self._thread.start()

    def close(self) -> None:
        self._closed.set()

    def _run(self) -> None:
        while (request := self._next()) is not None:
            if not self._ask(request):
                with self._lock:
                    self._waiting.append(request)
                # Also when others wait: an unreachable store is not called more often because more is open.
                self._closed.wait(_RETRY_EVERY_S)

    def _next(self) -> Request | None:
        """The next request; None when there is none left, and the thread ends."""
        with self._lock:
            if self._waiting and not self._closed.is_set():
                return self._waiting.popleft()
            self._thread = None
            return None

    def _ask(self, request: Request) -> bool:
        try:
            return request()
        except DependencyUnavailableError:
            return False
