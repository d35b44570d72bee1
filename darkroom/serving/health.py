"""Liveness is the process; readiness names the dependency that is missing, within a bounded time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from darkroom.contract.errors import DependencyUnavailableError
from darkroom.serving.asgi import in_thread, json_response

_CHECK_TIMEOUT_S = 2.0

Checks = Mapping[str, Callable[[], None]]


def health_routes(checks: Checks) -> list[Route]:
    """`checks` by the dependency's name: each returns if it is there and raises DependencyUnavailableError if not."""
    # A check that hangs must not hold up the next one, nor the answer.
    threads = ThreadPoolExecutor(max_workers=4 * len(checks), thread_name_prefix="health")

    async def live(_request: Request) -> Response:
        return json_response({"status": "ok"})

    async def ready(_request: Request) -> Response:
        missing = await in_thread(_missing, threads, checks)
        if missing:
            raise DependencyUnavailableError(", ".join(missing), "; ".join(missing.values()))
        return json_response({"status": "ok", "checks": dict.fromkeys(checks, "ok")})

    return [Route("/health/live", live), Route("/health/ready", ready)]


def _missing(threads: ThreadPoolExecutor, checks: Checks) -> dict[str, str]:
    """What is wrong, by the dependency's name; empty when all is well."""
    pending = {name: threads.submit(check) for name, check in checks.items()}
    missing = {}
    for name, future in pending.items():
        try:
            future.result(timeout=_CHECK_TIMEOUT_S)
        except DependencyUnavailableError as exc:
            missing[name] = exc.detail
        except FutureTimeoutError:
            missing[name] = f"no answer within {_CHECK_TIMEOUT_S:g} s"
    return missing
