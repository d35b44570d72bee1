"""Forwards requests below `/console` from the admin address to the console's process, streams included."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence

import aiohttp
from aiohttp import web

from darkroom.errors import DependencyUnavailableError
from darkroom.local.console.child import ConsoleProcess
from darkroom.local.http_server import problem_response

_OF_THE_HOP = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding"}
    | {"upgrade", "content-length"}
)
"""Fields that concern one connection (RFC 9110, section 7.6.1), and the length, which is written anew."""


def console_routes(console: ConsoleProcess) -> Sequence[web.RouteDef]:
    async def to_the_console(_request: web.Request) -> web.StreamResponse:
        raise web.HTTPPermanentRedirect("/console/")

    async def forward(request: web.Request) -> web.StreamResponse:
        try:
            return await _forward(request, console)
        except DependencyUnavailableError as exc:
            return problem_response(exc)

    return [
        web.get("/console", to_the_console),
        web.get("/console/{path:.*}", forward),
        web.post("/console/{path:.*}", forward),
    ]


async def _forward(request: web.Request, console: ConsoleProcess) -> web.StreamResponse:
    """Raises DependencyUnavailableError if the console cannot be reached before it answers."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
    # A session per request: a request may last as long as its page is open, and there are few.
    async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as http:
        address = await console.address(http)
        try:
            answering = http.request(
                request.method,
                f"{address}{request.raw_path}",
                headers=_passed_on(request.headers),
                data=_body(request) if request.body_exists else None,
                allow_redirects=False,
            )
            answer = await answering
        except aiohttp.ClientError as exc:
            raise DependencyUnavailableError("console", f"does not answer ({type(exc).__name__})") from exc
        async with answer:
            return await _pass_back(request, answer)


async def _pass_back(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers=_passed_on(answer.headers))
    await response.prepare(request)
    async for chunk in answer.content.iter_any():
        await response.write(chunk)
    await response.write_eof()
    return response


async def _body(request: web.Request) -> AsyncGenerator[bytes, None]:
    async for chunk in request.content.iter_any():
        yield chunk


def _passed_on(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    named = {name.strip().lower() for name in headers.get("Connection", "").split(",")}
    return [(name, value) for name, value in headers.items() if name.lower() not in _OF_THE_HOP | named]
