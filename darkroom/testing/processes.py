"""A whole `darkroom up` in the test's process, with functions as processes of their own, on the run's nats-server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp

from darkroom.errors import DependencyUnavailableError, EventInvalidError
from darkroom.events import cloudevents
from darkroom.events.cloudevents import CloudEvent
from darkroom.local.addresses import Addresses
from darkroom.local.eventing.broker import BrokerAddress
from darkroom.local.eventing.brokers import AdaptRoute
from darkroom.local.reporting import Report
from darkroom.local.resources import ExternalServers
from darkroom.local.stack import Stack, StackOptions
from darkroom.manifests.project import Project


class Processes:
    def __init__(
        self,
        project: Project,
        folder: Path,
        nats_url: str,
        adapt: AdaptRoute,
        report: Report,
        settings: Mapping[str, str],
    ) -> None:
        self._stack = Stack(
            StackOptions(
                project=project,
                data=folder,
                external=ExternalServers(nats=nats_url),
                settings=settings,
                adapt_route=adapt,
            )
        )
        self._addresses: Addresses | None = None

        def pass_on(action: str, fields: dict[str, Any]) -> None:
            report(action, **fields)

        self._stack.events.subscribe(pass_on)

    @property
    def addresses(self) -> Addresses:
        if self._addresses is None:
            raise RuntimeError("not started yet")
        return self._addresses

    async def start(self) -> None:
        self._addresses = await self._stack.start()

    async def publish(self, address: BrokerAddress, event: CloudEvent) -> None:
        headers, body = cloudevents.encode_binary(event)
        url = f"{self.addresses.broker}/{'/'.join(address)}"
        async with aiohttp.ClientSession() as http, http.post(url, headers=headers, data=body) as answer:
            status, text = answer.status, await answer.text()
        if status == 400:
            raise EventInvalidError(text)
        if status != 202:
            raise DependencyUnavailableError("broker", f"{url} answers {status}: {text}")

    async def ingress_url(self) -> str:
        return self.addresses.broker

    async def close(self) -> None:
        self._stack.hurry()
        await asyncio.shield(self._stack.stop())
