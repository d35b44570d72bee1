from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from darkroom.local.children import ports
from darkroom.local.children.logs import LogDirectory
from darkroom.local.errors import PortTakenError
from darkroom.local.front.gateway import Gateway
from darkroom.local.front.routes import Backend
from darkroom.local.revisions.activator import Activator
from darkroom.local.revisions.limit import InstanceLimit
from darkroom.local.revisions.pool import Pool
from tests.integration.local.functions import GREETING, Workshop
from tests.integration.local.upstreams import raw_upstream, say_hello, stand_in_pool, upstream
from tests.integration.local.waiting import Reports, until

CHUNK = bytes(range(256)) * 256
CHUNKS = 320  # times 64 KiB is 20 MiB
ROUTE_TIMEOUT_S = 0.3


def to_asked(method: str, host: str, path: str, headers: Mapping[str, str]) -> Backend | None:
    """One route, /asked..., goes to the Service of that name; /asked/soon... must be over soon."""
    if not path.startswith("/asked"):
        return None
    timeout_s = ROUTE_TIMEOUT_S if path.startswith("/asked/soon") else None
    return Backend(namespace="default", service="asked", port=80, timeout_s=timeout_s)


@asynccontextmanager
async def gateway_to(*pools: Pool) -> AsyncIterator[tuple[Gateway, aiohttp.ClientSession]]:
    """The pools' pokes start one instance, as a scaler would."""
    by_service = {pool.revision.service: pool for pool in pools}
    activator = Activator(poke=lambda revision: by_service[revision.service].scale_to(1))
    for pool in pools:
        activator.serve(pool)
    gateway = Gateway(activator, to_asked, route_template=lambda path: path, port=ports.free_port())
    await gateway.start()
    try:
        async with aiohttp.ClientSession(gateway.url, auto_decompress=False) as client:
            yield gateway, client
    finally:
        await gateway.close()
        await activator.close()


async def test_a_request_reaches_a_real_function_at_zero_through_the_gateway(
    tmp_path: Path, logs: LogDirectory, reports: Reports
) -> None:
    workshop = Workshop(root=tmp_path, logs=logs, reports=reports, limit=InstanceLimit(2))
    workshop.write("asked", GREETING.format(greeting="from zero"))
    pool = workshop.pool(workshop.revision("asked", container_concurrency=1))
    try:
        async with gateway_to(pool) as (_, client):
            answers = [await (await client.post("/asked", data=b"x")).text() for _ in range(20)]
    finally:
        await pool.close(drain=False)

    assert answers == ["from zero"] * 20


async def test_what_no_route_takes_is_a_problem_document(tmp_path: Path) -> None:
    async with gateway_to(stand_in_pool(tmp_path)) as (_, client), client.get("/other?q=1") as answer:
        document = json.loads(await answer.read())

    assert answer.status == document["status"] == 404
    assert answer.content_type == "application/problem+json"
    assert document["code"] == "route.not_found"
    assert "GET /other" in document["detail"]


async def test_a_service_is_reached_by_its_own_host_name_unless_only_the_cluster_may_call_it(tmp_path: Path) -> None:
    public = stand_in_pool(tmp_path, service="public")
    private = stand_in_pool(tmp_path, service="private", cluster_local=True)
    async with upstream(say_hello) as port, gateway_to(public, private) as (_, client):
        public.add(port)
        private.add(port)
        hosts = [
            "public.default.localhost",
            "PUBLIC.default.localhost:8080",
            "private.default.localhost",
            "public.other.localhost",
            "public.default.example",
            "unknown.default.localhost",
        ]
        statuses = [(await client.get("/", headers={"Host": host})).status for host in hosts]

    assert statuses == [200, 200, 404, 404, 404, 404]


async def test_the_function_sees_who_asked_and_the_request_line_as_it_was(tmp_path: Path) -> None:
    async def tell(request: web.BaseRequest) -> web.StreamResponse:
        return web.json_response({"line": request.raw_path, "headers": dict(request.headers)})

    pool = stand_in_pool(tmp_path)
    async with upstream(tell) as port, gateway_to(pool) as (_, client):
        pool.add(port)
        sent = {"X-Forwarded-For": "192.0.2.7", "Host": "pictures.example", "Connection": "X-Mine", "X-Mine": "1"}
        path = URL("/asked/%2Fb%2e?q=a%20b+c", encoded=True)
        async with client.get(path, headers=sent, skip_auto_headers=["User-Agent"]) as answer:
            seen = await answer.json()

    assert seen["line"] == "/asked/%2Fb%2e?q=a%20b+c"
    assert seen["headers"]["Host"] == "pictures.example"
    assert seen["headers"]["X-Forwarded-For"] == "192.0.2.7, 127.0.0.1"
    assert seen["headers"]["X-Forwarded-Host"] == "pictures.example"
    assert not {"X-Mine", "User-Agent"} & seen["headers"].keys()


async def test_encoded_bodies_and_repeated_headers_pass_untouched(tmp_path: Path) -> None:
    pool = stand_in_pool(tmp_path)
    body = b"\x1f\x8b this is no gzip at all"
    async with raw_echo() as port, gateway_to(pool) as (_, client):
        pool.add(port)
        async with client.post("/asked", data=body, headers={"Content-Encoding": "gzip"}) as answer:
            assert await answer.read() == body
            assert answer.headers.getall("Set-Cookie") == ["a=1", "b=2"]


@asynccontextmanager
async def raw_echo() -> AsyncIterator[int]:
    """Answers with the body it got, byte for byte, and says that it is gzip."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-l"))
        body = await reader.readexactly(length)
        answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n"
        writer.write(answer + b"Content-Length: %d\r\n\r\n" % length + body)
        await writer.drain()

    async with raw_upstream(echo) as port:
        yield port


async def test_twenty_megabytes_flow_both_ways_at_once_and_are_never_held_as_a_whole(tmp_path: Path) -> None:
    async def echo(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        async for chunk in request.content.iter_any():
            await response.write(chunk)
        return response

    received = 0
    progress = asyncio.Event()

    async def send_each_after_the_last_came_back() -> AsyncIterator[bytes]:
        for number in range(CHUNKS):
            while received < number * len(CHUNK):
                progress.clear()
                await progress.wait()
            yield CHUNK

    pool = stand_in_pool(tmp_path)
    async with upstream(echo) as port, gateway_to(pool) as (_, client):
        pool.add(port)
        async with client.post("/asked", data=send_each_after_the_last_came_back()) as answer:
            async for chunk in answer.content.iter_any():
                start = received % len(CHUNK)
                assert chunk == (CHUNK * (len(chunk) // len(CHUNK) + 2))[start : start + len(chunk)]
                received += len(chunk)
                progress.set()

    assert received == CHUNKS * len(CHUNK)


async def test_server_sent_events_arrive_while_the_function_still_runs(tmp_path: Path) -> None:
    client_has_read = asyncio.Event()

    async def events(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: 1\n\n")
        await client_has_read.wait()
        await response.write(b"data: 2\n\n")
        return response

    pool = stand_in_pool(tmp_path)
    async with upstream(events) as port, gateway_to(pool) as (_, client):
        pool.add(port)
        async with client.get("/asked") as answer:
            assert await answer.content.readuntil(b"\n\n") == b"data: 1\n\n"
            client_has_read.set()
            assert await answer.content.read() == b"data: 2\n\n"


async def test_a_client_that_goes_away_takes_its_request_to_the_function_with_it(tmp_path: Path) -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        started.set()
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return web.Response()

    pool = stand_in_pool(tmp_path)
    async with upstream(handle) as port, gateway_to(pool) as (_, client):
        instance = pool.add(port)
        asked = asyncio.create_task(client.get("/asked"))
        await started.wait()

        asked.cancel()
        await asyncio.wait([asked])

        await until(cancelled.is_set, "the function's request is cancelled")
        await until(lambda: instance.in_flight == 0, "the instance is free again")


async def test_an_answer_that_has_not_begun_within_the_routes_timeout_is_a_504(tmp_path: Path) -> None:
    cancelled = asyncio.Event()

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return web.Response()

    pool = stand_in_pool(tmp_path)
    async with upstream(handle) as port, gateway_to(pool) as (_, client):
        instance = pool.add(port)
        async with client.get("/asked/soon") as answer:
            document = json.loads(await answer.read())
        await until(cancelled.is_set, "the function's request is cancelled")
        await until(lambda: instance.in_flight == 0, "the instance is free again")

    assert (answer.status, document["code"]) == (504, "route.timeout")
    assert document["detail"] == "asked did not complete its answer within the HTTPRoute's timeout, 0.3 s"


async def test_a_wait_for_an_instance_counts_for_the_routes_timeout(tmp_path: Path) -> None:
    started, done = asyncio.Event(), asyncio.Event()

    async def occupy(request: web.BaseRequest) -> web.StreamResponse:
        started.set()
        await done.wait()
        return web.Response(text=request.path)

    pool = stand_in_pool(tmp_path, container_concurrency=1)
    async with upstream(occupy) as port, gateway_to(pool) as (_, client):
        pool.add(port)
        first = asyncio.create_task(client.get("/asked"))
        await started.wait()
        async with client.get("/asked/soon") as answer:
            assert json.loads(await answer.read())["code"] == "route.timeout"
        done.set()
        assert await (await first).text() == "/asked"


async def test_an_answer_that_has_begun_is_broken_off_at_the_routes_timeout(tmp_path: Path) -> None:
    async def stall(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"begun")
        await asyncio.sleep(600)
        return response

    pool = stand_in_pool(tmp_path)
    async with upstream(stall) as port, gateway_to(pool) as (_, client):
        instance = pool.add(port)
        async with client.get("/asked/soon") as answer:
            assert answer.status == 200
            with pytest.raises(aiohttp.ClientError):
                await answer.read()
        await until(lambda: instance.in_flight == 0, "the instance is free again")


async def test_a_route_without_a_timeout_waits_for_longer(tmp_path: Path) -> None:
    async def slowly(request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.sleep(2 * ROUTE_TIMEOUT_S)
        return web.Response(text="late")

    pool = stand_in_pool(tmp_path)
    async with upstream(slowly) as port, gateway_to(pool) as (_, client):
        pool.add(port)
        async with client.get("/asked") as answer:
            assert await answer.text() == "late"


async def test_a_refusal_that_comes_before_the_body_was_sent_reaches_the_client(tmp_path: Path) -> None:
    async def refuse(request: web.BaseRequest) -> web.StreamResponse:
        await request.content.readany()
        return web.Response(status=413, text="too large", headers={"Connection": "close"})

    pool = stand_in_pool(tmp_path)
    statuses = []
    async with upstream(refuse) as port, gateway_to(pool) as (_, client):
        pool.add(port)
        for _ in range(20):
            async with client.post("/asked", data=io.BytesIO(CHUNK * CHUNKS)) as answer:
                statuses.append(answer.status)
                assert await answer.text() == "too large"

    assert statuses == [413] * 20


async def test_a_refusal_reaches_the_client_also_when_the_function_resets_the_connection_after_it(
    tmp_path: Path,
) -> None:
    async def refuse_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Closing with unread bytes in the socket is what makes the kernel send a reset.
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 9\r\n\r\ntoo large")

    pool = stand_in_pool(tmp_path)
    statuses = []
    async with raw_upstream(refuse_and_close) as port, gateway_to(pool) as (_, client):
        pool.add(port)
        for _ in range(40):
            async with client.post("/asked", data=io.BytesIO(CHUNK * CHUNKS)) as answer:
                statuses.append(answer.status)

    assert statuses == [413] * 40


async def test_an_answer_that_is_broken_off_reaches_the_client_as_broken(tmp_path: Path) -> None:
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n")

    pool = stand_in_pool(tmp_path)
    async with raw_upstream(break_off) as port, gateway_to(pool) as (_, client):
        pool.add(port)
        async with client.get("/asked") as answer:
            assert answer.status == 200
            with pytest.raises(aiohttp.ClientError):
                await answer.read()


async def test_a_dead_function_is_a_problem_document_with_502(tmp_path: Path) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    pool = stand_in_pool(tmp_path)
    async with raw_upstream(hang_up) as port, gateway_to(pool) as (_, client):
        pool.add(port)
        async with client.get("/asked") as answer:
            assert answer.status == 502
            assert json.loads(await answer.read())["code"] == "instance.broken"


@pytest.mark.parametrize("status", [200, 204, 304])
async def test_answers_without_a_body_have_none(tmp_path: Path, status: int) -> None:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=status)

    pool = stand_in_pool(tmp_path)
    async with upstream(handle) as port, gateway_to(pool) as (_, client):
        pool.add(port)
        for method in ("GET", "HEAD"):
            async with client.request(method, "/asked") as answer:
                assert (answer.status, await answer.read()) == (status, b"")


async def test_a_taken_port_is_refused_with_its_holders_name(tmp_path: Path) -> None:
    async with gateway_to(stand_in_pool(tmp_path)) as (gateway, _):
        port = int(gateway.url.rpartition(":")[2])
        second = Gateway(Activator(poke=lambda _: None), to_asked, route_template=lambda path: path, port=port)
        with pytest.raises(PortTakenError, match="is taken by"):
            await second.start()
