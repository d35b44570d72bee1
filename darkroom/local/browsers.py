"""Refuses requests of foreign web pages to the servers on loopback: by the Host header, and by the Origin of a POST."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Collection

from aiohttp import web

from darkroom.errors import HostRefusedError, OriginRefusedError
from darkroom.events.hosts import host_name, is_loopback, is_one_of, is_same_origin
from darkroom.problems import problem

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def check_host(host: str, allowed: Collection[str]) -> None:
    """Raise HostRefusedError unless this Host header names this machine or an allowed host."""
    name = host_name(host)
    if not is_loopback(name) and not is_one_of(name, allowed):
        raise HostRefusedError.of(host)


def refuse_pages(application: web.Application, hosts: Collection[str] = ()) -> None:
    """Have the application serve nobody but programs on this machine. It has no keys, and no page uses it.

    `hosts` are names, besides this machine's, that no browser can resolve.
    """

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            check_host(request.host, hosts)
            origin = request.headers.get("Origin")
            if (
                origin is not None
                and request.method not in ("GET", "HEAD")
                and not is_same_origin(origin, request.host)
            ):
                raise OriginRefusedError.of(origin)
        except (HostRefusedError, OriginRefusedError) as exc:
            document = problem(exc, request_id=str(uuid.uuid4()))
            return web.Response(status=document.status, headers=document.headers, body=document.body)
        return await handler(request)

    application.middlewares.append(check)
