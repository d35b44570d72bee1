"""How long a server takes to answer, as far as that is the server's doing, and whether somebody has stopped it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import psutil

_LATENESS_MEASURED_EVERY_S = 0.05


async def answering_time(check: Callable[[], Awaitable[None]], *, retry_above_s: float) -> float:
    """Return the seconds that a health check takes, without those in which this event loop stood still.

    A check that takes longer than `retry_above_s` is made once more, and the shorter time counts: one packet or one
    write to a busy disk says little. Raises what `check` raises.
    """
    took_s = await _timed(check)
    return took_s if took_s < retry_above_s else min(took_s, await _timed(check))


async def _timed(check: Callable[[], Awaitable[None]]) -> float:
    began, late_s = time.monotonic(), 0.0

    async def measure_lateness() -> None:
        nonlocal late_s
        while True:
            due = time.monotonic() + _LATENESS_MEASURED_EVERY_S
            await asyncio.sleep(_LATENESS_MEASURED_EVERY_S)
            late_s += time.monotonic() - due

    measuring = asyncio.create_task(measure_lateness(), name="lateness")
    try:
        await check()
    finally:
        measuring.cancel()
    return max(0.0, time.monotonic() - began - late_s)


def is_stopped(pid: int) -> bool:
    """Report whether a process is stopped, as by SIGSTOP."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_STOPPED
    except psutil.NoSuchProcess:
        return False
