from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from multidict import CIMultiDict

from darkroom.local.children import ports
from darkroom.local.errors import InstanceBrokenError
from darkroom.local.revisions.activator import Activator, ActivatorResponse, ForwardAnswer, ForwardRequest
from darkroom.local.revisions.instances import InstanceState
from darkroom.local.revisions.pool import Pool
from darkroom.manifests.revision import Revision
from tests.integration.local.upstreams import Handler, raw_upstream, say_hello, stand_in_pool, upstream
from tests.integration.local.waiting import until

ASKED = ("default", "asked")


@asynccontextmanager
async def activating(
    *pools: Pool, poked: list[Revision] | None = None, max_queued: int = 10_000
) -> AsyncIterator[Activator]:
    pokes: list[Revision] = [] if poked is None else poked
    activator = Activator(poke=pokes.append, max_queued=max_queued)
    for pool in pools:
        activator.serve(pool)
    try:
        yield activator
    finally:
        await activator.close()


async def ask(activator: Activator, *, timeout_s: float | None = None) -> ActivatorResponse:
    return await activator.request(ASKED, "POST", "/", {}, b"body", timeout_s)


async def test_an_instance_never_has_more_requests_than_its_container_concurrency(tmp_path: Path) -> None:
    running = [0, 0]
    most = [0, 0]

    def handler(number: int) -> Handler:
        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            running[number] += 1
            most[number] = max(most[number], running[number])
            await asyncio.sleep(0.005)
            running[number] -= 1
            return web.Response()

        return handle

    pool = stand_in_pool(tmp_path, container_concurrency=2)
    async with upstream(handler(0)) as first, upstream(handler(1)) as second, activating(pool) as activator:
        pool.add(first)
        pool.add(second)
        answers = await asyncio.gather(*(ask(activator) for _ in range(60)))

    assert [answer.status for answer in answers] == [200] * 60
    assert most == [2, 2]
    assert [one.in_flight for one in pool.instances] == [0, 0]


async def test_a_request_goes_to_the_instance_that_has_the_fewest(tmp_path: Path) -> None:
    asked: list[str] = []

    def handler(name: str) -> Handler:
        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            asked.append(name)
            return web.Response()

        return handle

    pool = stand_in_pool(tmp_path)
    async with upstream(handler("busy")) as first, upstream(handler("idle")) as second, activating(pool) as activator:
        pool.add(first).enter()
        pool.add(second)
        await ask(activator)

    assert asked == ["idle"]


async def test_requests_wait_for_a_cold_start_in_order_of_arrival_and_ask_for_it(tmp_path: Path) -> None:
    order: list[str] = []

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        order.append(request.path)
        return web.Response()

    pool = stand_in_pool(tmp_path, container_concurrency=1)
    poked: list[Revision] = []
    async with upstream(handle) as port, activating(pool, poked=poked) as activator:
        asked = [asyncio.create_task(activator.request(ASKED, "POST", f"/{n}", {}, b"")) for n in range(5)]
        await until(lambda: activator.queued(ASKED) == 5, "all wait")
        assert poked[0] is pool.revision
        assert activator.meter(ASKED).current == 5

        pool.add(port)
        answers = await asyncio.gather(*asked)

    assert [answer.status for answer in answers] == [200] * 5
    assert order == ["/0", "/1", "/2", "/3", "/4"]
    assert activator.meter(ASKED).current == 0


async def test_a_full_queue_is_answered_503_and_what_waits_already_is_served(tmp_path: Path) -> None:
    pool = stand_in_pool(tmp_path)
    async with upstream(say_hello) as port, activating(pool, max_queued=2) as activator:
        waiting = [asyncio.create_task(ask(activator)) for _ in range(2)]
        await until(lambda: activator.queued(ASKED) == 2, "the queue is full")

        refused = await ask(activator)
        assert refused.status == 503
        assert b"2 requests wait for asked" in refused.body
        assert not refused.from_function

        pool.add(port)
        assert [answer.status for answer in await asyncio.gather(*waiting)] == [200, 200]


async def test_callers_that_gave_up_do_not_fill_the_queue(tmp_path: Path) -> None:
    pool = stand_in_pool(tmp_path)
    async with upstream(say_hello) as port, activating(pool, max_queued=2) as activator:
        for _ in range(5):
            with pytest.raises(TimeoutError):
                await ask(activator, timeout_s=0.01)
        assert activator.queued(ASKED) == 0

        waiting = asyncio.create_task(ask(activator))
        await until(lambda: activator.queued(ASKED) == 1, "it waits")
        pool.add(port)
        assert (await waiting).status == 200


async def test_a_cold_start_that_takes_longer_than_the_revisions_timeout_is_answered_504(tmp_path: Path) -> None:
    pool = stand_in_pool(tmp_path, timeout_s=0.05)
    async with activating(pool) as activator:
        answer = await ask(activator)

        assert answer.status == 504
        assert b"0.05 s" in answer.body
        assert activator.queued(ASKED) == 0
        assert activator.meter(ASKED).current == 0


async def test_a_function_that_does_not_answer_in_time_is_answered_504_and_its_place_is_free_again(
    tmp_path: Path,
) -> None:
    cancelled = asyncio.Event()

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return web.Response()

    pool = stand_in_pool(tmp_path, timeout_s=0.1, container_concurrency=1)
    async with upstream(handle) as port, activating(pool) as activator:
        instance = pool.add(port)
        assert (await ask(activator)).status == 504
        assert instance.in_flight == 0
        await until(cancelled.is_set, "the function's request is cancelled")


async def test_the_revisions_timeout_ends_with_the_first_byte_and_a_long_answer_goes_on(tmp_path: Path) -> None:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first ")
        await asyncio.sleep(0.3)
        await response.write(b"last")
        return response

    pool = stand_in_pool(tmp_path, timeout_s=0.15)
    async with upstream(handle) as port, activating(pool) as activator:
        pool.add(port)
        assert (await ask(activator)).body == b"first last"


async def test_a_caller_whose_own_patience_ends_first_gets_a_timeout_error(tmp_path: Path) -> None:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.sleep(600)
        return web.Response()

    pool = stand_in_pool(tmp_path)
    async with upstream(handle) as port, activating(pool) as activator:
        instance = pool.add(port)
        with pytest.raises(TimeoutError):
            await ask(activator, timeout_s=0.1)
        assert instance.in_flight == 0


async def test_an_instance_that_closes_without_an_answer_is_answered_502_and_not_asked_twice(tmp_path: Path) -> None:
    asked = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.readuntil(b"body")

    pool = stand_in_pool(tmp_path)
    async with raw_upstream(handle) as port, activating(pool) as activator:
        instance = pool.add(port)
        answer = await ask(activator)

    assert (answer.status, answer.from_function) == (502, False)
    assert asked == 1
    assert instance.in_flight == 0


async def test_an_instance_that_refuses_the_connection_is_passed_over_for_another(tmp_path: Path) -> None:
    pool = stand_in_pool(tmp_path)
    async with upstream(say_hello) as port, activating(pool) as activator:
        pool.add(ports.free_port())  # nobody listens there
        pool.add(port).enter()  # busier, so that it is tried second
        answer = await ask(activator)

    assert answer.body == b"hello"


async def test_a_request_whose_only_instance_has_died_waits_for_the_next(tmp_path: Path) -> None:
    pool = stand_in_pool(tmp_path)
    async with upstream(say_hello) as port, activating(pool) as activator:
        dead = pool.add(ports.free_port())
        waiting = asyncio.create_task(ask(activator))
        await until(lambda: activator.queued(ASKED) == 1, "it waits")

        dead.state = InstanceState.STOPPED
        pool.add(port)

        assert (await waiting).body == b"hello"


async def until_broken(answer: ForwardAnswer) -> AsyncIterator[bytes]:
    """The chunks, and in the end the error's name."""
    try:
        async for chunk in answer.chunks():
            yield chunk
    except InstanceBrokenError:
        yield b"InstanceBrokenError"


@pytest.mark.parametrize("framing", [b"Content-Length: 100", b"Transfer-Encoding: chunked"])
async def test_an_answer_that_is_broken_off_is_an_error_and_never_a_short_body(tmp_path: Path, framing: bytes) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n5\r\nshort\r\n")

    pool = stand_in_pool(tmp_path)
    async with raw_upstream(handle) as port, activating(pool) as activator:
        pool.add(port)
        assert (await ask(activator)).status == 502

        request = ForwardRequest(method="GET", path="/", headers=CIMultiDict())
        async with activator.forward(ASKED, request) as answer:
            chunks = [chunk async for chunk in until_broken(answer)]
        assert b"".join(chunks).endswith(b"InstanceBrokenError")


async def test_the_functions_own_answer_passes_as_it_is(tmp_path: Path) -> None:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        seen = f"{request.method} {request.raw_path} {request.host} {await request.text()}"
        return web.Response(status=418, text=seen, headers={"Location": "/elsewhere", "Ce-Id": "1"})

    pool = stand_in_pool(tmp_path)
    async with upstream(handle) as port, activating(pool) as activator:
        pool.add(port)
        answer = await activator.request(ASKED, "PUT", "/a%2Fb?q=%20x", {"Ce-Id": "2"}, b"body")

    assert answer.status == 418
    assert answer.body == b"PUT /a%2Fb?q=%20x asked.default.svc.cluster.local body"
    assert answer.headers["ce-id"] == "1"
    assert answer.from_function


async def test_a_redirect_is_passed_on_and_not_followed(tmp_path: Path) -> None:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"})

    pool = stand_in_pool(tmp_path)
    async with upstream(handle) as port, activating(pool) as activator:
        pool.add(port)
        assert (await ask(activator)).status == 302
