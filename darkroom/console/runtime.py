"""The runtime's admin API, as the console reads it."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import httpx

ANSWER_WITHIN_S = 15.0
SILENT_FOR_S = 30.0
"""Of a stream; the runtime says something every ten seconds."""
_SHOWN_CHARACTERS = 1000


class RuntimeUnavailableError(Exception):
    """The runtime does not answer. The message is a sentence."""


class RuntimeRefusedError(Exception):
    """The runtime refuses a request, such as one for an event that it does not know. The message is its sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


class Runtime:
    def __init__(self, admin: str) -> None:
        """`admin` is the admin API's address."""
        # trust_env: a proxy would look for the runtime on its own machine.
        self._http = httpx.AsyncClient(base_url=admin, trust_env=False, timeout=ANSWER_WITHIN_S)

    async def get(self, path: str, **query: object) -> Any:
        """Return an answer's JSON. Raises RuntimeUnavailableError and RuntimeRefusedError."""
        return await self._ask("GET", path, query)

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
