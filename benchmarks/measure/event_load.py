"""Sends events to a Broker at given moments, and observes a function's instances meanwhile."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

import aiohttp

from benchmarks.measure import sleeping_project as project
from darkroom.cli.admin_client import AdminClient
from darkroom.simulate.observed.recording import Recording

LOOKS_EVERY_S = 0.5
SETTLED_WITHIN_S = 180.0
LEAD_S = 1.0


@dataclass(kw_only=True)
class EventLoad:
    """Events for the sleeping project's function."""

    broker_url: str
    admin_url: str
    asleep_s: dict[str, float] = field(default_factory=dict)
    """What each event asks for, by its id."""
    clock_s: float = 0.0
    """When the load began, by the clock that all processes of this machine share, and the autoscaler goes by."""
    ticks: list[tuple[float, int, int]] = field(default_factory=list)
    """When (seconds since the epoch), and the instances that were ready and wanted."""

    async def run(self, arrivals_s: Sequence[float], seconds: Sequence[float], *, until_zero: bool = True) -> float:
        """Send an event at each moment that makes the function sleep for its seconds; returns when the load began, in
        seconds since the epoch. Begins and ends with everything delivered and, `until_zero`, the function at zero.
        """
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=100)) as http:
            await self._settled(http, until_zero=until_zero)
            began_at, self.clock_s = time.time() + LEAD_S, time.monotonic() + LEAD_S
            watching = asyncio.create_task(self._watch(http))
            try:
                async with asyncio.TaskGroup() as sending:
                    for at_s, asleep_s in zip(arrivals_s, seconds, strict=True):
                        await asyncio.sleep(began_at + at_s - time.time())
                        sending.create_task(self._send(http, asleep_s))
                await self._settled(http, until_zero=until_zero)
            finally:
                watching.cancel()
                await asyncio.wait([watching])
        return began_at

    async def _send(self, http: aiohttp.ClientSession, asleep_s: float) -> None:
        id = str(uuid.uuid4())
        self.asleep_s[id] = asleep_s
        headers = {
            "ce-specversion": "1.0",
            "ce-id": id,
            "ce-source": "/benchmark",
            "ce-type": project.EVENT_TYPE,
        }
        url = f"{self.broker_url}/{project.NAMESPACE}/{project.BROKER}"
        async with http.post(url, json={"seconds": asleep_s}, headers=headers) as answer:
            if answer.status != 202:
                raise RuntimeError(f"the Broker answered {answer.status}: {(await answer.text())[:200]}")

    async def _watch(self, http: aiohttp.ClientSession) -> None:
        due = time.monotonic()
        while True:
            status = await self._status(http)
            self.ticks.append((time.time(), status["ready"], status["wanted"]))
            due += LOOKS_EVERY_S
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _settled(self, http: aiohttp.ClientSession, *, until_zero: bool) -> None:
        async with asyncio.timeout(SETTLED_WITHIN_S):
            while True:
                status = await self._status(http)
                if status["open"] == 0 and not (until_zero and status["pids"]):
                    return
                await asyncio.sleep(LOOKS_EVERY_S)

    async def _status(self, http: aiohttp.ClientSession) -> dict[str, int]:
        async with http.get(f"{self.admin_url}/status") as answer:
            status = await answer.json()
        function = next(row for row in status["functions"] if row["service"] == project.SERVICE)
        trigger = next(row for row in status["triggers"] if row["name"] == project.TRIGGER)
        return {
            "ready": function["ready"],
            "wanted": function["wanted"],
            "pids": len(function["pids"]),
            "open": (trigger["backlog"] or 0) + trigger["in_flight"] + function["in_flight"] + function["waiting"],
        }


def recording_of(
    admin: AdminClient, load: EventLoad, began_at: float, *, name: str, since: int, about: dict[str, object]
) -> Recording:
    """Read what the runtime recorded since: an event's arrival is its acceptance by the Broker, its end that of its
    last attempt.
    """
    accepted: dict[str, float] = {}
    ended: dict[str, float] = {}
    for one in admin.lines("/record/tail", {"follow": "no", "since": began_at - LEAD_S}):
        if one["kind"] == "accepted" and one["id"] in load.asleep_s:
            accepted.setdefault(one["id"], one["at"])
        elif one["kind"] == "attempted" and one["status"] == 204:
            ended[one["id"]] = one["at"] + one["lasted_s"]
    events = admin.ask("GET", "/events", query={"since": since})
    ready = [one for one in events if one["action"] == "instance.ready" and one["service"] == project.SERVICE]
    arrived = sorted(accepted.items(), key=lambda each: each[1])
    return Recording(
        name=name,
        service=project.SERVICE,
        clock_s=load.clock_s,
        arrivals_s=[at - began_at for _, at in arrived],
        sizes=[load.asleep_s[id] for id, _ in arrived],
        took_s=[ended[id] - at if id in ended else None for id, at in arrived],
        ticks=[(at - began_at, ready_now, wanted) for at, ready_now, wanted in load.ticks],
        starts=[(one["at"] - began_at, one["ready_s"]) for one in ready],
        **about,  # type: ignore[arg-type]
    )
