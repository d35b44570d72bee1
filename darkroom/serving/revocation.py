"""Ends requests that wait or stream once their key is revoked: it is checked again while they last.

The key file is looked at every half second (`auth`), and requests are checked together, so that a thousand of them cost
little.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from darkroom.contract.errors import AuthInvalidError
from darkroom.serving.auth import NOBODY, Authenticator

CHECK_EVERY_S = 0.25


@dataclass(eq=False)
class _Watch:
    task: asyncio.Task[Any]
    is_revoked: bool = False


class Revocations:
    """The requests of one event loop that last."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator
        self._watches: dict[str, set[_Watch]] = {}
        self._checking: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def watch(self, owner: str) -> AsyncIterator[None]:
        """Run the block while the owner's key is valid. Raises AuthInvalidError when it no longer is."""
        task = asyncio.current_task()
        if owner == NOBODY or task is None:
            yield
            return
        watch = _Watch(task)
        self._watches.setdefault(owner, set()).add(watch)
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._keep_checking(), name="revocations")
        try:
            yield
        except asyncio.CancelledError:
            if not watch.is_revoked or task.uncancel() > 0:
                raise
            raise AuthInvalidError("the API key was revoked") from None
        finally:
            self._watches[owner].discard(watch)
            if not self._watches[owner]:
                del self._watches[owner]

    async def _keep_checking(self) -> None:
        """Check the keys of all requests that last, until there are none."""
        while self._watches:
            await asyncio.sleep(CHECK_EVERY_S)
            for owner, watches in list(self._watches.items()):
                if not self._authenticator.is_current(owner):
                    for watch in watches:
                        if not watch.is_revoked:
                            watch.is_revoked = True
                            watch.task.cancel()
