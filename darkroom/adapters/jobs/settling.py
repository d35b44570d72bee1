"""Settles, in a thread of its own, what a lost answer left open in the store.

Redis may carry out a call, lose its answer, and then not be reached for a while. Its caller has been told that nothing
was done, and acts on that:

- A POST was refused, so its job is taken back (lua/retract.lua).
- A delivery was deferred, so its claim is withdrawn and does not count as an attempt (lua/withdraw.lua).
- A job was given back, so its release is repeated until it is heard.

Each is asked for as soon as Redis answers. Should this process die before, the store keeps what it has: the job is done
although its POST was refused, and the claim counts as an attempt of a worker that died. Both err on the side that loses
no job and tries no picture too often.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from darkroom.contract.errors import DependencyUnavailableError

_RETRY_EVERY_S = 0.2
_MOST_WAITING = 10_000
"""Each is a few hundred bytes; a store that is away for longer than this takes to fill loses the oldest."""

Request = Callable[[], bool]
"""Asks the store; whether the matter is settled. If it is not, or nobody answered, it is asked again."""


class Settler:
    """Asks one request after the other. One that is not settled goes to the end of the line: when every answer is lost,
    each request is still carried out."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Request] = deque(maxlen=_MOST_WAITING)
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    @property
    def is_idle(self) -> bool:
        """Everything is settled."""
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
                # Also when others wait: a store that is away is asked so often, however much is open.
                self._closed.wait(_RETRY_EVERY_S)

    def _next(self) -> Request | None:
        """None: there is nothing left, and the thread ends."""
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
