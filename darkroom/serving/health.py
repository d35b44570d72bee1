"""Liveness is the process; readiness names the dependency that is missing, within a bounded time.

Neither ever waits for a thread that requests use: a storage that hangs must not make its own report hang.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from darkroom.contract.errors import DependencyUnavailableError
from darkroom.serving.asgi import json_response
from darkroom.serving.startup import STARTUP_PATH

CHECK_TIMEOUT_S = 2.0
_THREADS_A_CHECK = 4

Checks = Mapping[str, Callable[[], None]]


def health_routes(checks: Checks, *, awaited: Checks | None = None) -> list[Route]:
    """`checks` by the dependency's name: each returns if it is there and raises DependencyUnavailableError if not.

    `awaited` are those that the platform injects after a first start. They alone decide about `/health/startup`, which
    a readinessProbe asks: a dependency that is down must not take a function's instances out of service, since they
    answer what is missing.
    """
    awaited = awaited or {}
    checks = {**checks, **awaited}
    # Each has threads of its own: one that hangs holds up neither the others nor the answer.
    threads = {name: ThreadPoolExecutor(_THREADS_A_CHECK, thread_name_prefix=f"health-{name}") for name in checks}

    async def live(_request: Request) -> Response:
        return json_response({"status": "ok"})

    async def ready(_request: Request) -> Response:
        return await _verdict(checks)

    async def startup(_request: Request) -> Response:
        return await _verdict(awaited)

    async def _verdict(asked: Checks) -> Response:
        found = await asyncio.gather(*(_problem(threads[name], check) for name, check in asked.items()))
        missing = {name: problem for name, problem in zip(asked, found, strict=True) if problem}
        if missing:
            raise DependencyUnavailableError(", ".join(missing), "; ".join(missing.values()))
        return json_response({"status": "ok", "checks": dict.fromkeys(asked, "ok")})

    return [
        Route("/health/live", live),
        Route("/health/ready", ready),
        Route(STARTUP_PATH, startup, include_in_schema=False),
    ]


async def _problem(threads: ThreadPoolExecutor, check: Callable[[], None]) -> str:
    """What is wrong with it; empty when it is there."""
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            await asyncio.get_running_loop().run_in_executor(threads, check)
    except DependencyUnavailableError as exc:
        return exc.detail
    except TimeoutError:
        return f"no answer within {CHECK_TIMEOUT_S:g} s"
    return ""
