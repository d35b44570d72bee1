"""What the runtime's HTTP servers do with requests that are none, and with connections that do not end."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import pairwise

import pytest
from aiohttp import web

from darkroom.connections import ConnectionLimits
from darkroom.local.children.ports import LOOPBACK, free_port
from darkroom.local.eventing.broker import Ingress
from darkroom.local.http_server import Listener
from darkroom.local.watching.admin import admin_application
from darkroom.local.watching.event_log import EventLog
from darkroom.telemetry.metric import Readings
from tests.integration.local.test_gateway import gateway_to
from tests.integration.local.upstreams import say_hello, stand_in_pool, upstream
from tests.malformed import BAD_CHUNKS, NO_HTTP, TWICE, exchange, refused

ROOMY = ConnectionLimits(max_open=100)
HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"
WITH_A_BODY = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"


@asynccontextmanager
async def served(runner: web.BaseRunner, limits: ConnectionLimits = ROOMY) -> AsyncIterator[tuple[Listener, int]]:
    listener, port = Listener("test", runner, limits), free_port()
    await listener.start(LOOPBACK, port)
    try:
        yield listener, port
    finally:
        await listener.close()
        for writer in _opened:
            writer.transport.abort()
        _opened.clear()
        await asyncio.sleep(0)


def echo() -> web.ServerRunner:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=await request.read())

    return web.ServerRunner(web.Server(handle, handler_cancellation=True), shutdown_timeout=0.1)


def admin() -> web.AppRunner:
    async def status() -> dict[str, object]:
        return {}

    async def readings() -> Readings:
        return {}

    application = admin_application(status, EventLog(), readings)
    return web.AppRunner(application, access_log=None, shutdown_timeout=0.1)


def ingress() -> web.AppRunner:
    return web.AppRunner(Ingress({}, EventLog().report).application(), access_log=None, shutdown_timeout=0.1)


async def answered(port: int, request: bytes) -> tuple[int, bytes, bytes]:
    return await asyncio.to_thread(exchange, port, request)


async def is_served(port: int) -> bool:
    status, _, _ = await answered(port, HEAD + b"Connection: close\r\n\r\n")
    return status == 200


@pytest.mark.parametrize("runner", [echo, admin, ingress])
async def test_what_is_no_request_is_refused_and_repeated_nowhere(
    runner: object, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    async with served(runner()) as (_, port):  # type: ignore[operator]
        for name, request in [*NO_HTTP.items(), *TWICE.items()]:
            document = refused(await answered(port, request))
            assert document["code"] == "request.malformed", name
    told = caplog.text + "".join(capfd.readouterr())
    assert "S3CRET" not in told
    assert "Traceback" not in told
    assert len(caplog.records) < 10, "a log does not grow with what strangers send"


async def test_of_a_crowd_that_comes_at_once_a_few_are_accepted_before_anything_else_is_done() -> None:
    """And the rest waits: a connection that the system refuses is only tried again a second later."""
    crowd, limits = 300, ConnectionLimits(max_open=1000)
    async with served(echo(), limits) as (listener, port), AsyncExitStack() as opened:
        for _ in range(crowd):
            # Before the loop runs again.
            opened.callback(socket.create_connection((LOOPBACK, port), timeout=5).close)
        counts = [len(listener.connections)]
        while counts[-1] < crowd:
            await asyncio.sleep(0)
            counts.append(len(listener.connections))
    assert max(after - before for before, after in pairwise(counts)) <= 16


@pytest.mark.parametrize("name", BAD_CHUNKS)
async def test_a_body_whose_chunks_are_none_is_refused(name: str, caplog: pytest.LogCaptureFixture) -> None:
    async with served(echo()) as (_, port):
        refused(await answered(port, BAD_CHUNKS[name]))
    assert "S3CRET" not in caplog.text


async def test_the_gateway_refuses_what_is_no_request_and_bodies_whose_chunks_are_none(
    tmp_path: object, caplog: pytest.LogCaptureFixture
) -> None:
    async def read_first(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=await request.read())

    pool = stand_in_pool(tmp_path)  # type: ignore[arg-type]
    async with upstream(read_first) as upstream_port, gateway_to(pool) as (gateway, _):
        pool.add(upstream_port)
        port = int(gateway.url.rpartition(":")[2])
        for request in [*NO_HTTP.values(), *TWICE.values()]:
            refused(await answered(port, request))
        for request in BAD_CHUNKS.values():
            refused(await answered(port, request.replace(b"/api/v1/resize", b"/asked")))
    assert "S3CRET" not in caplog.text


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_opened: list[asyncio.StreamWriter] = []
"""By the running test; `served` closes them."""


async def opened(port: int, *pieces: bytes) -> Streams:
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    _opened.append(writer)
    for piece in pieces:
        writer.write(piece)
    await writer.drain()
    return reader, writer


def answer_to_drops(port: int, request: bytes, drop: bytes) -> bytes:
    """Return what the server says to a client that goes on writing until the server closes.

    A socket, because a stream whose write fails after the server has closed loses what it has not read.
    """
    received, ends_at = b"", time.monotonic() + 20
    with socket.create_connection((LOOPBACK, port), timeout=0.1) as client:
        client.sendall(request)
        while time.monotonic() < ends_at:
            try:
                piece = client.recv(65536)
            except TimeoutError:
                with suppress(ConnectionError):
                    client.send(drop)
                continue
            except ConnectionError:
                return received
            if not piece:
                return received
            received += piece
    raise AssertionError(f"the server does not close; it has said {received!r}")


async def test_a_head_has_a_deadline_that_more_bytes_do_not_put_off() -> None:
    async with served(echo(), ConnectionLimits(max_open=10, head_s=0.5)) as (_, port):
        answer = await asyncio.to_thread(answer_to_drops, port, HEAD, b"X: 1\r\n")
        assert b"408" in answer.split(b"\r\n")[0]
        assert b"request.timeout" in answer


async def test_a_body_that_stops_and_a_body_that_drips_have_deadlines() -> None:
    limits = ConnectionLimits(max_open=10, silence_s=1.0, body_grace_s=2.5)
    async with served(echo(), limits) as (_, port):
        silent, _ = await opened(port, WITH_A_BODY)
        dripping = asyncio.to_thread(answer_to_drops, port, WITH_A_BODY, b"1")
        for answer in await asyncio.gather(silent.read(), dripping):
            assert b"408" in answer.split(b"\r\n")[0]
            assert b"request.timeout" in answer


async def test_a_body_that_comes_steadily_may_take_longer_than_its_grace() -> None:
    limits = ConnectionLimits(max_open=10, silence_s=1.0, body_grace_s=0.5, min_bytes_per_s=200)
    async with served(echo(), limits) as (_, port):
        reader, writer = await opened(port, WITH_A_BODY)
        for _ in range(25):
            writer.write(b"1" * 40)
            await asyncio.sleep(0.1)
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")


async def test_a_connection_that_asks_for_nothing_is_closed() -> None:
    async with served(echo(), ConnectionLimits(max_open=10, idle_s=0.5)) as (_, port):
        reader, _ = await opened(port)
        assert await reader.read() == b""
        reader, _ = await opened(port, HEAD + b"\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200")


async def test_others_are_served_while_half_open_connections_fill_the_server() -> None:
    async with served(echo(), ConnectionLimits(max_open=20)) as (listener, port):
        half_open = [await opened(port, HEAD) for _ in range(60)]
        for _ in range(5):
            assert await is_served(port)
        assert len(listener.connections) <= 20 * 1.2
        assert listener.connections.closed_early >= 35
        assert await half_open[0][0].read() == b"", "the oldest goes first"


async def test_the_rest_of_a_body_that_was_answered_is_no_head() -> None:
    async def refuse(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=403)

    size = 4 * 1024 * 1024
    async with served(web.ServerRunner(web.Server(refuse))) as (_, port):
        reader, writer = await opened(port, HEAD + f"Content-Length: {size}\r\n\r\n".encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 403")
        writer.write(b"." * size + HEAD + b"\r\n")
        await writer.drain()
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 403"), "the next request on it"


async def test_bodies_that_stopped_make_room_and_requests_that_have_come_do_not() -> None:
    release = asyncio.Event()

    async def hold(request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "POST":
            await request.read()
        elif request.path == "/held":
            await release.wait()
        return web.Response(body=b"done")

    runner = web.ServerRunner(web.Server(hold, handler_cancellation=True), shutdown_timeout=0.1)
    async with served(runner, ConnectionLimits(max_open=8)) as (listener, port):
        held = [await opened(port, HEAD.replace(b"/", b"/held", 1) + b"\r\n") for _ in range(4)]
        stopped = [await opened(port, WITH_A_BODY) for _ in range(4)]
        ends_at = time.monotonic() + 10
        while not await is_served(port):
            assert time.monotonic() < ends_at, "a body that stopped is given up for a request"
            await asyncio.sleep(0.1)
        assert b"request.timeout" in await stopped[0][0].read()
        assert listener.connections.closed_early == 1
        release.set()
        for reader, _ in held:
            assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")


async def test_where_all_places_are_taken_by_requests_the_next_is_told_to_come_back() -> None:
    release = asyncio.Event()

    async def hold(_: web.BaseRequest) -> web.StreamResponse:
        await release.wait()
        return web.Response()

    runner = web.ServerRunner(web.Server(hold, handler_cancellation=True), shutdown_timeout=0.1)
    async with served(runner, ConnectionLimits(max_open=8, request_cost=1)) as (_, port):
        held = [await opened(port, HEAD + b"\r\n") for _ in range(4)]
        await asyncio.sleep(0)
        status, head, body = await answered(port, HEAD + b"\r\n")
        assert (status, b"server.busy" in body, b"retry-after" in head.lower()) == (503, True, True)
        release.set()
        assert (await held[0][0].readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")


async def test_a_kept_connection_outlives_a_flood_of_new_ones() -> None:
    async with served(echo(), ConnectionLimits(max_open=20)) as (_, port):
        reader, writer = await opened(port, HEAD + b"\r\n")
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(100):
            await opened(port, HEAD)
        writer.write(HEAD + b"\r\n")
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")


async def test_kept_connections_are_not_taken_for_slow_ones() -> None:
    async with (
        served(web.ServerRunner(web.Server(say_hello)), ConnectionLimits(max_open=10, head_s=0.3)) as (listener, port),
    ):
        reader, writer = await opened(port, HEAD + b"\r\n")
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(3):
            await asyncio.sleep(1.1)  # longer than a head may take, and than the sweep
            writer.write(HEAD + b"\r\n")
            assert (await reader.readuntil(b"HTTP/1.1 200")).endswith(b"HTTP/1.1 200")
        assert len(listener.connections) == 1


async def test_a_body_that_comes_at_once_is_not_taken_for_a_head() -> None:
    """A busy loop reads its second piece before the task of its request has begun."""
    body = bytes(400_000)
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
    runner = echo()
    async with served(runner) as (_, port):
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        _opened.append(writer)
        writer.write(HEAD + b"\r\n")
        await reader.readuntil(b"\r\n\r\n")
        assert runner.server is not None
        (protocol,) = runner.server.connections
        for piece in (head + body[:200_000], body[200_000:]):
            protocol.data_received(piece)
        answer = await asyncio.wait_for(reader.read(), 10)
    assert answer.startswith(b"HTTP/1.1 200"), answer[:500]
    assert answer.endswith(body)
