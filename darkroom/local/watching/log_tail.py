"""The last lines that a function or a server has printed, over HTTP at the admin address.

GET /logs?name=&lines=    `name` as in the folder of logs: a Service's, a server's; at most 1,000 lines
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

from darkroom.redaction import redacted

MAX_LINES = 1000
MAX_BYTES = 512 * 1024


def log_routes(folder: Path) -> Sequence[web.RouteDef]:
    async def show(request: web.Request) -> web.Response:
        name, lines = request.query.get("name", ""), request.query.get("lines", "200")
        if not lines.isascii() or not lines.isdigit() or not 1 <= int(lines[:9]) <= MAX_LINES:
            return web.Response(status=400, text=f"lines must be from 1 to {MAX_LINES}, was {lines[:40]!r}")
        known = await asyncio.to_thread(_logs, folder)
        file = known.get(name.replace("/", "."))
        if file is None:
            return web.Response(status=404, text=f"there is no log {name[:200]}; there is {', '.join(known)}")
        return web.json_response({"name": name, "lines": await asyncio.to_thread(last_lines, file, int(lines))})

    return [web.get("/logs", show)]


def _logs(folder: Path) -> dict[str, Path]:
    """Return the files by the names of what has written them."""
    return {file.name.removesuffix(".log"): file for file in sorted(folder.glob("*.log"))}


def last_lines(file: Path, count: int) -> list[str]:
    """Return a file's last lines, without secrets, oldest first. Of a line that begins before the last MAX_BYTES, the
    rest."""
    with file.open("rb") as opened:
        size = opened.seek(0, os.SEEK_END)
        opened.seek(max(0, size - MAX_BYTES))
        text = opened.read().decode(errors="replace")
    return [redacted(line) for line in text.splitlines()[-count:]]
