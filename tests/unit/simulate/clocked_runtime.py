"""The runtime's own activator, pool and scaler on an event loop whose clock jumps to whatever is due next.

Only processes and connections are replaced: an instance is ready after a drawn time, and answers after another.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from multidict import CIMultiDict

from darkroom.local.children.logs import LogDirectory
from darkroom.local.reporting import report_nothing
from darkroom.local.revisions.activator import Activator, ActivatorResponse
from darkroom.local.revisions.exchange import Connections
from darkroom.local.revisions.forwarding import ForwardRequest
from darkroom.local.revisions.instances import Instance, InstanceContext, InstanceState
from darkroom.local.revisions.launching import Launch, Launcher, NoLaunch
from darkroom.local.revisions.limit import InstanceLimit
from darkroom.local.revisions.pool import Pool
from darkroom.local.revisions.scaler import Scaler
from darkroom.manifests.revision import Revision


class ClockedLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.now_s = 0.0
        super().__init__(_Jumps(self))

    def time(self) -> float:
        return self.now_s


class _Jumps(selectors.SelectSelector):
    """Waits for nothing: the clock jumps to the exact time of the next timer."""

    def __init__(self, loop: ClockedLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everything waits for something that will not happen")
        if timeout > 0:
            self._loop.now_s = self._loop._scheduled[0].when()  # type: ignore[attr-defined]
        return super().select(0)


def run_clocked(main: Callable[[ClockedLoop], Coroutine[Any, Any, None]]) -> None:
    loop = ClockedLoop()
    try:
        loop.run_until_complete(main(loop))
    finally:
        loop.close()


@dataclass(frozen=True, kw_only=True)
class Draws:
    """How long each instance takes to start, and each request in an instance, in the order in which they begin."""

    cold_start_s: Callable[[], float]
    service_time_s: Callable[[], float]


@dataclass(kw_only=True)
class Seen:
    wanted: list[tuple[float, int]] = field(default_factory=list)
    """Each change of what the scaler wants."""
    sentences: list[str] = field(default_factory=list)
    """The reason of each change."""
    statuses: list[int] = field(default_factory=list)
    latencies_s: list[float] = field(default_factory=list)


class _ClockedInstance(Instance):
    """Is ready after a while, and has no process."""

    def __init__(self, revision: Revision, context: InstanceContext, cold_start_s: float) -> None:
        super().__init__(revision, context)
        self._cold_start_s = cold_start_s

    async def start(self) -> None:
        try:
            async with asyncio.timeout(self._cold_start_s):
                await self._stopped.wait()
        except TimeoutError:
            self.ready_s = self._cold_start_s
            self.state = InstanceState.READY
            self.settled.set()
        else:
            raise self._start_failed("was stopped before it was ready")

    async def wait(self) -> None:
        await self._stopped.wait()

    async def watch(self, on_change: Callable[[], None], on_unhealthy: Callable[[str], None]) -> None:
        await self._stopped.wait()


class _ClockedPool(Pool):
    def __init__(self, revision: Revision, context: InstanceContext, limit: InstanceLimit, draws: Draws) -> None:
        super().__init__(revision, context, limit, report_nothing)
        self._draws = draws

    @property
    def not_run(self) -> str:
        return ""

    def _launch(self, revision: Revision) -> Instance:
        instance = _ClockedInstance(revision, self._context, self._draws.cold_start_s())
        self._instances.append(instance)
        self._spawn(self._run(instance), "life")
        return instance


class _Nowhere(Launcher):
    def find(self, revision: Revision) -> Launch:
        return NoLaunch(reason="nothing is started")


class _Answer:
    """What a function answers, as the activator reads it."""

    status, reason, headers = 200, "OK", CIMultiDict[str]()

    async def chunks(self) -> AsyncIterator[bytes]:
        return
        yield b""

    def close(self) -> None:
        pass


class _Functions(Connections):
    def __init__(self, draws: Draws) -> None:
        super().__init__()
        self._draws = draws

    async def send(self, address: str, request: ForwardRequest) -> Any:
        await asyncio.sleep(self._draws.service_time_s())
        return _Answer()


def play(
    revision: Revision,
    times_s: Sequence[float],
    draws: Draws,
    *,
    until_s: float,
    folder: Path,
    max_instances: int,
    max_queued: int,
) -> Seen:
    """Send requests at these times, and return what the runtime did."""
    seen = Seen()

    async def main(loop: ClockedLoop) -> None:
        context = InstanceContext(
            project_root=folder, data_dir=folder, launcher=_Nowhere(root=folder, data=folder), logs=LogDirectory(folder)
        )
        scalers: list[Scaler] = []
        activator = Activator(poke=lambda _: scalers[0].poke(), max_queued=max_queued, clock=loop.time)
        activator._connections = _Functions(draws)
        pool = _ClockedPool(revision, context, InstanceLimit(max_instances), draws)
        activator.serve(pool)

        def report(action: str, /, **fields: Any) -> None:
            if action == "instances.wanted":
                seen.wanted.append((loop.now_s, fields["wanted"]))
                seen.sentences.append(fields["why"])

        scalers.append(Scaler(pool, activator.meter(revision.key), report, clock=loop.time))
        scaling = asyncio.create_task(scalers[0].run())
        requests = [asyncio.create_task(_ask(loop, activator, revision, at_s, seen)) for at_s in times_s]
        await asyncio.sleep(until_s)
        for task in (scaling, *requests):
            task.cancel()
        await asyncio.wait([scaling, *requests])
        await pool.close(drain=False)

    run_clocked(main)
    return seen


async def _ask(loop: ClockedLoop, activator: Activator, revision: Revision, at_s: float, seen: Seen) -> None:
    await asyncio.sleep(at_s)
    nothing: Mapping[str, str] = {}
    answer: ActivatorResponse = await activator.request(revision.key, "POST", "/", nothing, b"")
    seen.statuses.append(answer.status)
    if answer.status == 200:
        seen.latencies_s.append(loop.now_s - at_s)
