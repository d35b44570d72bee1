"""Resolves the names of webhooks' targets, so that names that nobody answers for hold up no other.

A customer chooses the name, and whoever runs its name servers may let a lookup hang. The operating system's lookup can
neither be cancelled nor be bounded, and each takes a thread, long after its try gave up. So there are many threads,
and a name has one of them at a time: tries that ask meanwhile share its answer.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

LOOKUPS_AT_ONCE = 64


class NameLookups:
    """To be called in one event loop."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKUPS_AT_ONCE, thread_name_prefix="webhook-names")
        self._under_way: dict[tuple[str, int], asyncio.Future[list[str]]] = {}

    async def __call__(self, name: str, port: int) -> Sequence[str]:
        """Return the addresses of the name. Raises OSError and UnicodeError."""
        asked = (name, port)
        answer = self._under_way.get(asked)
        if answer is None:
            answer = asyncio.get_running_loop().run_in_executor(self._threads, _addresses, name, port)
            self._under_way[asked] = answer
            answer.add_done_callback(lambda done: self._ended(asked, done))
        # A try that gives up does not take the answer from the others.
        return await asyncio.shield(answer)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _ended(self, asked: tuple[str, int], answer: asyncio.Future[list[str]]) -> None:
        del self._under_way[asked]
        if not answer.cancelled():
            answer.exception()  # seen, also where every try has given up


def _addresses(name: str, port: int) -> list[str]:
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for _, _, _, _, address in found]
