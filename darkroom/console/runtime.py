"""The runtime's admin API, as the console reads it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

ANSWER_WITHIN_S = 15.0
SILENT_FOR_S = 30.0
"""Of a stream; the runtime says something every ten seconds."""
SHARED_FOR_S = 0.5
"""Several open pages that ask for the same within this time get one answer."""
_SHOWN_CHARACTERS = 1000


class RuntimeUnavailableError(Exception):
    """The runtime does not answer. The message is a sentence."""


class RuntimeRefusedError(Exception):
    """The runtime refuses a request, such as one for an event that it does not know. The message is its sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


@dataclass(frozen=True, kw_only=True)
class _Asked:
    at: float
    """By the monotonic clock."""
    answer: asyncio.Task[Any]

    @property
    def is_fresh(self) -> bool:
        return not self.answer.done() or time.monotonic() - self.at < SHARED_FOR_S


class Runtime:
    def __init__(self, admin: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """`admin` is the admin API's address. `transport` takes the network's place in tests."""
        # trust_env: a proxy would look for the runtime on its own machine.
        self._http = httpx.AsyncClient(base_url=admin, trust_env=False, timeout=ANSWER_WITHIN_S, transport=transport)
        self._asked: dict[tuple[str, str], _Asked] = {}

    async def get(self, path: str, **query: object) -> Any:
        """Return an answer's JSON, which must not be changed: others may get the same.

        Raises RuntimeUnavailableError and RuntimeRefusedError.
        """
        key = path, json.dumps(_given(query), sort_keys=True)
        self._asked = {known: asked for known, asked in self._asked.items() if asked.is_fresh}
        if key not in self._asked:
            answer = asyncio.create_task(self._ask("GET", path, query))
            # If everybody who asked has gone, nobody else looks at an error.
            answer.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._asked[key] = _Asked(at=time.monotonic(), answer=answer)
        return await asyncio.shield(self._asked[key].answer)

    async def post(self, path: str, body: object) -> Any:
        """Send JSON and return the answer's. Raises as `get`."""
        return await self._ask("POST", path, {}, body)

    async def follow(self, path: str, **query: object) -> AsyncGenerator[Any, None]:
        """Yield what a stream of server-sent events says, until the runtime ends. Raises as `get`."""
        timeout = httpx.Timeout(ANSWER_WITHIN_S, read=SILENT_FOR_S)
        try:
            async with self._http.stream("GET", path, params=_given(query), timeout=timeout) as answer:
                if answer.is_error:
                    await answer.aread()
                    raise _refusal(answer)
                async for line in answer.aiter_lines():
                    if line.startswith("data: "):
                        yield json.loads(line.removeprefix("data: "))
        except httpx.HTTPError as exc:
            raise _unavailable(exc) from exc

    async def close(self) -> None:
        await self._http.aclose()

    async def _ask(self, method: str, path: str, query: Mapping[str, object], body: object = None) -> Any:
        try:
            answer = await self._http.request(method, path, params=_given(query), json=body)
        except httpx.HTTPError as exc:
            raise _unavailable(exc) from exc
        if answer.is_error:
            raise _refusal(answer)
        return answer.json()


def _given(query: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in query.items() if value not in (None, "")}


def _refusal(answer: httpx.Response) -> RuntimeRefusedError:
    return RuntimeRefusedError(answer.status_code, answer.text[:_SHOWN_CHARACTERS])


def _unavailable(exc: httpx.HTTPError) -> RuntimeUnavailableError:
    return RuntimeUnavailableError(f"the runtime does not answer ({type(exc).__name__}); is `darkroom up` running?")
