"""What the autoscaler has decided, over HTTP at the admin address.

    GET /autoscaler?service=&since=    each Service's settings and decisions, newest last; `service` is a name, or
                                       namespace/name; `since` is in seconds since the epoch, by default 15 minutes ago

Concurrency is requests in flight, of all instances together. A decision's `stable` and `panic` are its averages over
the two windows.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from math import isfinite
from typing import Any

from aiohttp import web

from darkroom.local.revisions.autoscaler import panic_window_s
from darkroom.local.revisions.autoscaler.kpa import needed_instances, target_value
from darkroom.local.revisions.decisions import DecisionLog, LoggedDecision
from darkroom.local.revisions.fleet import Fleet
from darkroom.local.revisions.pool import Pool
from darkroom.manifests.revision import ScalingConfig

SHOWN_S = 15 * 60


def autoscaler_routes(fleet: Fleet) -> Sequence[web.RouteDef]:
    async def show(request: web.Request) -> web.Response:
        since = _seconds(request.query.get("since", ""))
        if since is None:
            return web.Response(status=400, text="since must be in seconds since the epoch")
        name = request.query.get("service", "")
        found = [key for key in fleet.pools if name in ("", key[1], "/".join(key))]
        if name and not found:
            known = ", ".join(sorted("/".join(key) for key in fleet.pools)) or "none"
            return web.Response(status=404, text=f"there is no Service {name[:200]}; there is {known}")
        return web.json_response(
            {
                "at": time.time(),
                "services": [_service(fleet.pools[key], fleet.scalers[key].log, since) for key in found],
            }
        )

    return [web.get("/autoscaler", show)]


def _seconds(text: str) -> float | None:
    if not text:
        return time.time() - SHOWN_S
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if isfinite(seconds) else None


def _service(pool: Pool, log: DecisionLog, since: float) -> dict[str, Any]:
    revision, latest = pool.revision, log.latest
    return {
        "namespace": revision.namespace,
        "name": revision.service,
        "service": revision.label,
        "is_fixed": revision.is_deployment,
        "settings": _settings(revision.scaling),
        "latest": None if latest is None else _decided(latest),
        "sentence": "" if latest is None else latest.sentence,
        "decisions": [_decided(each) for each in log.since(since)],
    }


def _settings(config: ScalingConfig) -> dict[str, Any]:
    return {
        "target": target_value(config),
        "window_s": config.window_s,
        "panic_window_s": panic_window_s(config),
        "panic_threshold_percentage": config.panic_threshold_percentage,
        "min_scale": config.min_scale,
        "max_scale": config.max_scale,
        "container_concurrency": config.container_concurrency,
        "scale_down_delay_s": config.scale_down_delay_s,
        "retention_s": config.retention_s,
        "activation_scale": config.activation_scale,
    }


def _decided(decided: LoggedDecision) -> dict[str, Any]:
    needed = needed_instances(decided.config, decided.metrics)
    return {
        "at": decided.at,
        "stable": decided.metrics.stable,
        "panic": decided.metrics.panic,
        "by_stable": needed.stable,
        "by_panic": needed.panic,
        "unbounded": decided.decision.unbounded,
        "wanted": decided.decision.desired,
        "ready": decided.metrics.ready,
        "panicking": decided.decision.panicking,
    }
