"""The console's application in a test, without a server: requests to it, and all of its actions."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator, Sequence
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
