"""How the console reads the admin API: what several pages ask for is asked once, and failures are sentences."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import httpx
import pytest

from darkroom.console import runtime as module
from darkroom.console.runtime import Runtime, RuntimeRefusedError, RuntimeUnavailableError

Handler = Callable[[httpx.Request], Coroutine[None, None, httpx.Response]]


def with_runtime(handler: Handler, work: Callable[[Runtime], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        runtime = Runtime("http://runtime", httpx.MockTransport(handler))
        try:
            return await work(runtime)
        finally:
            await runtime.close()

    return asyncio.run(run())


def test_pages_that_ask_for_the_same_at_once_get_one_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        await asyncio.sleep(0)
        return httpx.Response(200, json={"count": len(asked)})

    async def work(runtime: Runtime) -> list[Any]:
        same = await asyncio.gather(*(runtime.get("/map") for _ in range(3)), runtime.get("/status", deep=1))
        monkeypatch.setattr(module, "SHARED_FOR_S", 0)
        return [*same, await runtime.get("/map")]

    assert [each["count"] for each in with_runtime(answer, work)][-1] == 3
    assert sorted(asked) == ["http://runtime/map", "http://runtime/map", "http://runtime/status?deep=1"]


def test_a_page_that_goes_away_does_not_end_what_another_waits_for() -> None:
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def answer(_request: httpx.Request) -> httpx.Response:
        arrived.set()
        await go_on.wait()
        return httpx.Response(200, json="here")

    async def work(runtime: Runtime) -> Any:
        gone, staying = asyncio.create_task(runtime.get("/map")), asyncio.create_task(runtime.get("/map"))
        await arrived.wait()
        gone.cancel()
        await asyncio.wait([gone])
        go_on.set()
        return await staying

    assert with_runtime(answer, work) == "here"


def test_a_refusal_and_a_silence_are_sentences() -> None:
    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/silent":
            raise httpx.ConnectError("nobody listens")
        return httpx.Response(404, text="there is no Service x")

    async def work(runtime: Runtime) -> None:
        with pytest.raises(RuntimeRefusedError, match="there is no Service x") as refused:
            await runtime.get("/autoscaler", service="x")
        assert refused.value.status == 404
        with pytest.raises(RuntimeUnavailableError, match=r"is `darkroom up` running\?"):
            await runtime.get("/silent")

    with_runtime(answer, work)
