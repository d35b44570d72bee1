"""A closed loop: a fixed number of exchanges is under way at any time, each followed by the next; measured after
warm-up.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from benchmarks.measure.cpu_time import Family, Spent, machine_busy_s, spent_by_all


class NothingDoneError(Exception):
    pass


READ_EVERY_S = 1.0
"""The time of a process that ends is attributed to it only up to the last reading."""

Exchange = Callable[[], Awaitable[None]]
"""One piece of work from start to end. Raises when it went wrong."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    per_s: float
    count: int
    seconds: float
    spent: Spent
    """CPU time of the measured processes."""
    client_s: float
    """CPU time of the client, which is this process."""
    others_s: float
    """CPU time of all other processes on the machine: above a few percent of `seconds`, the run was disturbed."""
    window: tuple[float, float]
    """When it began and ended, seconds since the epoch, to match what other processes have logged."""

    def milliseconds_each(self, name: str) -> float:
        return self.spent.by_name.get(name, 0.0) * 1000 / self.count

    @property
    def total_ms_each(self) -> float:
        return self.spent.total_s * 1000 / self.count


def in_sum(parts: Sequence[Measured]) -> Measured:
    """Return what was measured in several parts, with pauses between them, as one."""
    count, seconds = sum(part.count for part in parts), sum(part.seconds for part in parts)
    names = {name for part in parts for name in part.spent.by_name}
    return Measured(
        per_s=count / seconds,
        count=count,
        seconds=seconds,
        spent=Spent(by_name={name: sum(part.spent.by_name.get(name, 0.0) for part in parts) for name in names}),
        client_s=sum(part.client_s for part in parts),
        others_s=sum(part.others_s for part in parts),
        window=(parts[0].window[0], parts[-1].window[1]),
    )


class ClosedLoop:
    def __init__(self, exchange: Exchange, *, in_flight: int) -> None:
        self._exchange = exchange
        self._in_flight = in_flight
        self.done = 0

    async def measure(self, families: Sequence[Family], *, warm_up_s: float, seconds: float) -> Measured:
        """Start the loop, let it warm up, measure, and return when the exchanges under way have ended."""
        stop = asyncio.Event()
        workers = [asyncio.create_task(self._work(stop)) for _ in range(self._in_flight)]
        try:
            await _unless_one_fails(workers, warm_up_s)
            before = _Reading.take(families, self.done)
            ends_at = time.monotonic() + seconds
            while (left_s := ends_at - time.monotonic()) > 0:
                await _unless_one_fails(workers, min(left_s, READ_EVERY_S))
                spent_by_all(families)
            return _Reading.take(families, self.done).since(before)
        finally:
            stop.set()
            await asyncio.gather(*workers)

    async def run(self, count: int, families: Sequence[Family]) -> Measured:
        """Run this many exchanges, measured from the start of the first to the end of the last."""
        before, first = _Reading.take(families, self.done), self.done
        started = 0

        async def work() -> None:
            nonlocal started
            while started < count:
                started += 1
                await self._exchange()
                self.done += 1

        workers = [asyncio.create_task(work()) for _ in range(self._in_flight)]
        while self.done < first + count:
            await _unless_one_fails([one for one in workers if not one.done() or one.exception()], READ_EVERY_S)
            spent_by_all(families)
        await asyncio.gather(*workers)
        return _Reading.take(families, self.done).since(before)

    async def _work(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self._exchange()
            self.done += 1


async def _unless_one_fails(workers: Sequence[asyncio.Task[None]], seconds: float) -> None:
    done, _ = await asyncio.wait(workers, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for worker in done:
        worker.result()


@dataclass(frozen=True, kw_only=True)
class _Reading:
    at: float
    wall_at: float
    done: int
    spent: Spent
    client_s: float
    busy_s: float

    @classmethod
    def take(cls, families: Sequence[Family], done: int) -> _Reading:
        times = os.times()
        return cls(
            at=time.monotonic(),
            wall_at=time.time(),
            done=done,
            spent=spent_by_all(families),
            client_s=times.user + times.system,
            busy_s=machine_busy_s(),
        )

    def since(self, earlier: _Reading) -> Measured:
        seconds, count = self.at - earlier.at, self.done - earlier.done
        if count == 0:
            raise NothingDoneError(f"not one exchange ended in {seconds:.1f} s; measure for longer, or alone")
        spent, client_s = self.spent.since(earlier.spent), self.client_s - earlier.client_s
        return Measured(
            per_s=count / seconds,
            count=count,
            seconds=seconds,
            spent=spent,
            client_s=client_s,
            others_s=max(0.0, self.busy_s - earlier.busy_s - spent.total_s - client_s),
            window=(earlier.wall_at, self.wall_at),
        )
