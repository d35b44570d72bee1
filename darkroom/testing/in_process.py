"""The Brokers of a project without its functions: streams, Triggers, retries and dead letters, but no other process."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import aiohttp
from aiohttp import web

from darkroom.events.cloudevents import CloudEvent
from darkroom.local.children.ports import LOOPBACK
from darkroom.local.eventing.broker import BrokerAddress, Ingress
from darkroom.local.eventing.brokers import AdaptRoute, Brokers
from darkroom.local.eventing.subscribers import Subscribers
from darkroom.local.reporting import Report
from darkroom.local.revisions.activator import Activator
from darkroom.manifests import Manifests


class InProcess:
    def __init__(self, manifests: Manifests, nats_url: str, adapt: AdaptRoute, report: Report) -> None:
        self._nats_url = nats_url
        self._report = report
        self._tasks: list[asyncio.Task[None]] = []
        self._brokers = Brokers(_in_memory(manifests), report, self._spawn, adapt=adapt)
        self._activator = Activator(poke=lambda revision: None)
        self._http: aiohttp.ClientSession | None = None
        self._ingress: Ingress | None = None
        self._listener: web.AppRunner | None = None

    async def start(self) -> None:
        self._http = aiohttp.ClientSession()
        self._ingress = ingress = await self._brokers.open(self._nats_url, _nothing)
        await self._brokers.dispatch(Subscribers(self._activator, ingress, self._http), ingress)

    async def publish(self, address: BrokerAddress, event: CloudEvent) -> None:
        if self._opened.has(address):
            await self._opened.publish(address, event)
        else:
            await self._opened.publish_to_channel(address, event)

    async def ingress_url(self) -> str:
        """Listen, unless it does already; most tests need no port."""
        if self._listener is None:
            self._listener = listener = web.AppRunner(self._opened.application(), access_log=None)
            await listener.setup()
            await web.TCPSite(listener, LOOPBACK, 0).start()
        host, port = self._listener.addresses[0][:2]
        return f"http://{host}:{port}"

    async def close(self) -> None:
        if self._listener is not None:
            await self._listener.cleanup()
        await self._brokers.stop_dispatching()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._brokers.close()
        await self._activator.close()
        if self._http is not None:
            await self._http.close()

    @property
    def _opened(self) -> Ingress:
        if self._ingress is None:
            raise RuntimeError("not started yet")
        return self._ingress

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._report_crash)
        self._tasks.append(task)
        return task

    def _report_crash(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._report("part.crashed", part=task.get_name(), error=repr(task.exception()))


async def _nothing() -> None:
    """There is no application whose data would have to be prepared."""


def _in_memory(manifests: Manifests) -> Manifests:
    """Keep the streams in memory: they end with the test, and nothing of a delivery depends on where they are."""
    channels = {address: replace(channel, storage="Memory") for address, channel in manifests.channels.items()}
    return replace(manifests, channels=channels)
