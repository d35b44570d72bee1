"""Readiness names what is missing, within its time limit, whatever hangs."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable

import pytest
from starlette.requests import Request
from starlette.responses import Response

from darkroom.contract.errors import DependencyUnavailableError
from darkroom.serving import health
from darkroom.serving.health import Checks, health_routes


def refuse() -> None:
    raise DependencyUnavailableError("storage", "it is gone")


def ask(path: str = "/health/ready", *, injected: Checks | None = None, **checks: Callable[[], None]) -> Response:
    [route] = [route for route in health_routes(checks, injected=injected) if route.path == path]

    async def call() -> Response:
        response: Response = await route.endpoint(Request({"type": "http", "headers": []}))
        return response

    return asyncio.run(call())


def test_a_startup_waits_for_what_the_platform_injects_and_for_no_dependency() -> None:
    answer = ask("/health/startup", injected={"sink": lambda: None}, jobs=refuse)
    assert json.loads(bytes(answer.body)) == {"status": "ok", "checks": {"sink": "ok"}}

    for path in ("/health/startup", "/health/ready"):
        with pytest.raises(DependencyUnavailableError) as missing:
            ask(path, injected={"sink": refuse}, jobs=lambda: None)
        assert missing.value.dependency == "sink"


def test_all_that_is_there_is_listed() -> None:
    answer = ask(jobs=lambda: None, storage=lambda: None)
    assert json.loads(bytes(answer.body)) == {"status": "ok", "checks": {"jobs": "ok", "storage": "ok"}}


def test_every_dependency_that_is_missing_is_named() -> None:
    with pytest.raises(DependencyUnavailableError) as missing:
        ask(jobs=lambda: None, storage=refuse, broker=refuse)
    assert missing.value.dependency == "storage, broker"
    assert "it is gone" in missing.value.detail


def test_what_hangs_is_named_and_hides_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CHECK_TIMEOUT_S", 0.1)
    released = threading.Event()

    def hang() -> None:
        released.wait(30)

    try:
        for _ in range(3):
            with pytest.raises(DependencyUnavailableError) as missing:
                ask(jobs=hang, storage=refuse)
            assert missing.value.dependency == "jobs, storage"
            assert "no answer within 0.1 s" in missing.value.detail
    finally:
        released.set()
