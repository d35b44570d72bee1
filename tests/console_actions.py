"""The console's application in a test, without a server: requests to it, and all of its actions."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route

from darkroom.console.shell import Action

HOST = "localhost:8082"
OWN_ORIGIN = f"http://{HOST}"


def ask(application: Starlette, method: str, path: str, **options: Any) -> httpx.Response:
    """Send one request. By default it comes from a browser's page of the console itself."""

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=application)
        async with httpx.AsyncClient(transport=transport, base_url=OWN_ORIGIN) as client:
            headers = {"Accept": "text/html", "Origin": OWN_ORIGIN, **options.pop("headers", {})}
            return await client.request(method, path, headers=headers, **options)

    return asyncio.run(send())


def first_update(application: Starlette, path: str) -> dict[str, Any]:
    """Return the first update of a page's stream, which never ends by itself."""

    async def read() -> bytes:
        body: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        requests = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> dict[str, Any]:
            if not requests:
                await asyncio.Event().wait()
            return requests.pop()

        async def send(message: MutableMapping[str, Any]) -> None:
            if message.get("body") and not body.done():
                body.set_result(message["body"])

        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "query_string": b"",
            "headers": [(b"host", HOST.encode())],
        }
        task = asyncio.create_task(application(scope, receive, send))
        try:
            return await asyncio.wait_for(body, timeout=20)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    update: dict[str, Any] = json.loads(asyncio.run(read()).removeprefix(b"data: "))
    return update


def actions(application: Starlette) -> Sequence[tuple[str, Action]]:
    """Return every route that takes POST, with a path that matches it, and its action."""
    return list(_actions(application.routes, ""))


def _actions(routes: Sequence[BaseRoute], below: str) -> Iterator[tuple[str, Action]]:
    for route in routes:
        if isinstance(route, Mount):
            yield from _actions(route.routes, f"{below}{route.path}")
        elif isinstance(route, Route) and "POST" in (route.methods or ()):
            assert isinstance(route.app, Action), f"{route.path} is no action"
            filled = dict.fromkeys(route.param_convertors, "x")
            yield f"{below}{route.url_path_for(route.name, **filled)}", route.app


def write_keys(file: Path, **scopes: str) -> dict[str, str]:
    """Write a file of operators' keys, one for each name and scope; returns the keys by name."""
    keys = {name: f"dck_{name}-{'k' * 40}" for name in scopes}
    entries = [
        {"name": name, "scope": scope, "sha256": hashlib.sha256(keys[name].encode()).hexdigest()}
        for name, scope in scopes.items()
    ]
    file.write_text(json.dumps({"keys": entries}))
    return keys
