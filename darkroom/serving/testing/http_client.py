"""Sends HTTP requests to a function in this process, as functions-framework's ASGI server does."""

from __future__ import annotations

from typing import Any

import anyio
import httpx
from starlette.routing import Route

from darkroom.serving.asgi import Endpoint
from darkroom.serving.framework_answers import function_application

_METHODS = ["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"]
"""The methods that functions-framework passes on."""
TIMEOUT_S = 20.0


class HttpClient:
    """An HTTP client of one function. `function` is what a function's `build` makes."""

    def __init__(self, function: Endpoint) -> None:
        self._app = function_application([Route("/{path:path}", function, methods=_METHODS)])

    def call(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Send a request. `request` takes httpx's keywords (`json`, `data`, `files`, `content`, `params`,
        `headers`).
        """

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=TIMEOUT_S) as client:
                return await client.request(method, path, **request)

        return anyio.run(send)

    def get(self, path: str, **request: Any) -> httpx.Response:
        return self.call("GET", path, **request)

    def post(self, path: str, **request: Any) -> httpx.Response:
        return self.call("POST", path, **request)
