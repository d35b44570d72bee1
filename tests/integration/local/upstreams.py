"""Servers in place of instances, for tests that must see or break the other end of the activator's hop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from darkroom.local.children.logs import LogDirectory
from darkroom.local.children.ports import LOOPBACK
from darkroom.local.reporting import report_nothing
from darkroom.local.revisions.instances import Instance, InstanceContext, InstanceState
from darkroom.local.revisions.launching import Launcher
from darkroom.local.revisions.limit import InstanceLimit
from darkroom.local.revisions.pool import Pool
from darkroom.manifests.revision import Revision, ScalingConfig

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
RawHandler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class StandInPool(Pool):
    """A pool whose instances are servers of the test; none is started, so none must be stopped."""

    def add(self, port: int) -> Instance:
        instance = Instance(self.revision, self._context)
        instance.port = port
        instance.state = InstanceState.READY
        self._instances.append(instance)
        self.on_change()
        return instance

    @property
    def not_run(self) -> str:
        return ""


def stand_in_pool(
    tmp_path: Path, *, service: str = "asked", timeout_s: float = 30, cluster_local: bool = False, **scaling: Any
) -> StandInPool:
    revision = Revision(
        namespace="default",
        service=service,
        number=1,
        env={},
        timeout_s=timeout_s,
        scaling=ScalingConfig(**scaling),
        cluster_local=cluster_local,
    )
    context = InstanceContext(
        project_root=tmp_path,
        data_dir=tmp_path,
        launcher=Launcher(root=tmp_path, data=tmp_path),
        logs=LogDirectory(tmp_path / "logs"),
    )
    return StandInPool(revision, context, InstanceLimit(4), report_nothing)


@asynccontextmanager
async def upstream(handler: Handler) -> AsyncIterator[int]:
    """An HTTP server's port."""
    runner = web.ServerRunner(web.Server(handler, handler_cancellation=True), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw_upstream(handler: RawHandler) -> AsyncIterator[int]:
    """A TCP server's port; the handler writes the response byte for byte, then the connection is closed."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await handler(reader, writer)
        writer.close()

    server = await asyncio.start_server(handle, LOOPBACK, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


async def say_hello(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(text="hello")
