"""What the autoscaler has decided for each function, and why."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from darkroom.console.charts import TimeAxis
from darkroom.console.runtime import Runtime
from darkroom.console.scaling_charts import concurrency_chart, instances_chart, is_at_rest
from darkroom.console.shell import Shell
from darkroom.console.streams import refreshed

SHOWN_S = 15 * 60
_REFRESHED_EVERY_S = 5.0
"""Charts are larger than what other pages send."""


def routes(shell: Shell, runtime: Runtime) -> Sequence[Route]:
    async def read() -> dict[str, Any]:
        return {"services": await scaled_services(runtime), "shown_s": SHOWN_S}

    async def show(request: Request) -> Response:
        return shell.page(request, "autoscaler.html", title="Autoscaler", **await read())

    async def stream(request: Request) -> Response:
        async def render() -> dict[str, str]:
            return {"scaling": shell.fragment("parts/scaling.html", **await read())}

        return shell.stream(request, refreshed(render, every_s=_REFRESHED_EVERY_S))

    return [Route("/autoscaler", show), Route("/autoscaler/stream", stream)]


async def scaled_services(runtime: Runtime, service: str = "") -> list[dict[str, Any]]:
    """Return the Services with their charts; those that do something come first. Raises as `Runtime.get`."""
    now = time.time()
    since = now - SHOWN_S
    document = await runtime.get("/autoscaler", service=service, since=since)
    services = [_drawn(each, since, now) for each in document["services"]]
    return sorted(services, key=lambda each: each["is_at_rest"])


def _drawn(service: dict[str, Any], since: float, now: float) -> dict[str, Any]:
    # A run that has just begun is shown from its beginning.
    first = service["decisions"][0]["at"] if service["decisions"] else since
    axis = TimeAxis(begin=max(since, min(first, now - 60)), end=now)
    at_rest = is_at_rest(service)
    return {
        **service,
        "is_at_rest": at_rest,
        "instances": "" if at_rest else instances_chart(service, axis),
        "concurrency": "" if at_rest else concurrency_chart(service, axis),
    }
