"""Chaos in the admin API: POST an order or only its plan, GET a run, which renews its lease, and DELETE it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from darkroom.local.chaos.plan import Order, Slowness
from darkroom.local.chaos.run import Chaos
from darkroom.local.errors import ChaosRefusedError

LONGEST_S = 24 * 3600.0
_SHOWN_DELIVERIES = 100
"""Events of each Trigger whose faults are part of a plan's description."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class _Slowness(_Model):
    shortest_s: float = Field(ge=0)
    longest_s: float = Field(ge=0, le=LONGEST_S)
    share: float = Field(default=1.0, ge=0, le=1)


class ChaosOrder(_Model):
    """The body of a POST."""

    seed: int = Field(ge=0, lt=2**63)
    lasts_s: float = Field(gt=0, le=LONGEST_S)
    interval_s: float | None = Field(default=None, ge=0.05)
    settle_s: float = Field(default=60.0, ge=0, le=LONGEST_S)
    services: tuple[str, ...] = ()
    triggers: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    kill: bool = False
    pause: bool = False
    slow: _Slowness | None = None
    fail: float = Field(default=0.0, ge=0, le=1)
    duplicate: float = Field(default=0.0, ge=0, le=1)
    drop_reply: float = Field(default=0.0, ge=0, le=1)

    @property
    def names_no_fault(self) -> bool:
        shares = self.fail or self.duplicate or self.drop_reply
        return not (self.kill or self.pause or self.servers or self.slow is not None or shares)

    def order(self) -> Order:
        """Raises ValueError."""
        slow = self.slow
        return Order(
            seed=self.seed,
            lasts_s=self.lasts_s,
            interval_s=self.interval_s,
            services=self.services,
            triggers=self.triggers,
            servers=self.servers,
            kill=self.kill,
            pause=self.pause,
            slow=None if slow is None else Slowness(**slow.model_dump()),
            fail=self.fail,
            duplicate=self.duplicate,
            drop_reply=self.drop_reply,
        )


Handler = Callable[[web.Request], Awaitable[web.Response]]


def chaos_routes(chaos: Chaos) -> list[web.RouteDef]:
    async def show_plan(request: web.Request) -> web.Response:
        asked = _parse(await request.text())
        plan = chaos.plan(asked.order(), mix=asked.names_no_fault)
        deliveries = [
            {
                "trigger": trigger,
                "event": number,
                "kinds": [kind.value for kind in fault.kinds],
                "delay_s": round(fault.delay_s, 3),
            }
            for trigger, number, fault in plan.first_deliveries(_SHOWN_DELIVERIES)
        ]
        return web.json_response({"digest": plan.digest, **plan.as_dict(), "deliveries": deliveries})

    async def begin(request: web.Request) -> web.Response:
        asked = _parse(await request.text())
        plan = chaos.plan(asked.order(), mix=asked.names_no_fault)
        run = chaos.begin(plan, settle_s=asked.settle_s)
        return web.json_response({"id": run.id, "digest": plan.digest, **plan.as_dict()}, status=201)

    async def show(request: web.Request) -> web.Response:
        run = chaos.find(request.match_info["id"])
        run.renew()
        since = request.query.get("since", "0")
        if not since.isascii() or not since.isdigit() or len(since) > 18:
            raise ChaosRefusedError(f"since must be a line's number, was {since[:80]!r}")
        return web.json_response(run.as_dict(since=int(since)))

    async def end(request: web.Request) -> web.Response:
        run = chaos.find(request.match_info["id"])
        run.end("the command")
        return web.json_response(run.as_dict())

    async def show_brokers(_request: web.Request) -> web.Response:
        return web.json_response(chaos.brokers())

    return [
        web.get("/chaos/brokers", show_brokers),
        web.post("/chaos", _refusing(begin)),
        web.post("/chaos/plan", _refusing(show_plan)),
        web.get("/chaos/{id}", _refusing(show)),
        web.delete("/chaos/{id}", _refusing(end)),
    ]


def _parse(text: str) -> ChaosOrder:
    """Parse an order. Raises ChaosRefusedError."""
    try:
        asked = ChaosOrder.model_validate(json.loads(text))
        asked.order()
    except ValidationError as exc:
        problems = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in exc.errors(include_url=False))
        raise ChaosRefusedError("; ".join(problems)) from exc
    except (ValueError, RecursionError) as exc:
        raise ChaosRefusedError(str(exc)) from exc
    return asked


def _refusing(handler: Handler) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except ChaosRefusedError as exc:
            body: dict[str, Any] = {"code": exc.code, "detail": exc.detail}
            return web.json_response(body, status=exc.status)

    return handle
