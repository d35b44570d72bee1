"""Health routes. Liveness is the process; readiness names the missing dependency, within a bounded time.

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
from darkroom.errors import must_pass
from darkroom.serving.asgi import json_response
from darkroom.serving.log import get_logger
from darkroom.serving.probes import STARTUP_PATH

CHECK_TIMEOUT_S = 2.0
_THREADS_PER_CHECK = 4

log = get_logger()

Checks = Mapping[str, Callable[[], None]]


def health_routes(checks: Checks, *, injected: Checks | None = None) -> list[Route]:
    """Make the health routes.

    `checks`, by the dependency's name, each return if the dependency answers and raise DependencyUnavailableError if
    not. `injected` are the checks for what the platform injects after a first start. They alone decide about
    `/health/startup`, which a readinessProbe requests: a dependency that is down must not take a function's instances
    out of service, since they report what is missing.
    """
    injected = injected or {}
    checks = {**checks, **injected}
    # Each has threads of its own, so that one that hangs delays neither the others nor the response.
    threads = {name: ThreadPoolExecutor(_THREADS_PER_CHECK, thread_name_prefix=f"health-{name}") for name in checks}

    async def live(_request: Request) -> Response:
        return json_response({"status": "ok"})

    async def ready(_request: Request) -> Response:
        return await _run(checks)

    async def startup(_request: Request) -> Response:
        return await _run(injected)

    async def _run(chosen: Checks) -> Response:
        found = await asyncio.gather(*(_problem(threads[name], check) for name, check in chosen.items()))
        missing = {name: problem for name, problem in zip(chosen, found, strict=True) if problem}
        if missing:
            raise DependencyUnavailableError(", ".join(missing), "; ".join(missing.values()))
        return json_response({"status": "ok", "checks": dict.fromkeys(chosen, "ok")})

    return [
        Route("/health/live", live),
        Route("/health/ready", ready),
        Route(STARTUP_PATH, startup, include_in_schema=False),
    ]


async def _problem(threads: ThreadPoolExecutor, check: Callable[[], None]) -> str:
    """Return the problem with the dependency; empty when it answers."""
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            await asyncio.get_running_loop().run_in_executor(threads, check)
    except DependencyUnavailableError as exc:
        return exc.detail
    except TimeoutError:
        return f"no answer within {CHECK_TIMEOUT_S:g} s"
    except BaseException as exc:
        if must_pass(exc):
            raise
        log.exception("check.crashed")
        return f"its check ended in {type(exc).__name__}; the log has the rest"
    return ""
