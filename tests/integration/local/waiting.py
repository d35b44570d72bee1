"""Polling with a deadline for the tests of the local runtime."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest

DEADLINE_S = 30.0


class Reports:
    """Keeps every report; tests wait for one."""

    def __init__(self) -> None:
        self.all: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, action: str, /, **fields: Any) -> None:
        self.all.append((action, fields))

    def of(self, action: str) -> list[dict[str, Any]]:
        return [fields for name, fields in self.all if name == action]

    async def wait_for(self, action: str, *, count: int = 1) -> dict[str, Any]:
        await until(lambda: len(self.of(action)) >= count, f"{count} x {action}; there were {self.all}")
        return self.of(action)[count - 1]


async def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {DEADLINE_S:g} s: {what}")
        await asyncio.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
