"""Faults that are staged on running stacks, each with what `GET /why` and the console's page Why must say of it.

A staging is a context manager: it has inflicted the fault when it is entered, and has mended it when it is left. What
is said must come while it lasts, and be gone afterwards. `staged_shop` and `staged_pipeline` have the stacks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import httpx

from tests.pausing import paused
from tests.stack import RunningStack, eventually

HouseT = TypeVar("HouseT")

SEEN_WITHIN_S = 120.0
"""Against hanging only. On a machine with a free core it takes less than ten seconds, which the tests print."""


@dataclass(frozen=True, kw_only=True)
class StagedFault(Generic[HouseT]):
    name: str
    codes: tuple[str, ...]
    """Of the findings that may say it; one is enough."""
    cause: tuple[str, ...]
    """What its sentence names."""
    remedy: tuple[str, ...]
    stage: Callable[[HouseT], AbstractContextManager[None]]

    def __str__(self) -> str:
        return self.name

    def says(self, finding: dict[str, Any]) -> bool:
        return (
            finding["code"] in self.codes
            and all(words in finding["sentence"] for words in self.cause)
            and all(words in finding["remedy"] for words in self.remedy)
        )


def why(stack: RunningStack) -> list[dict[str, Any]]:
    """What is wrong with the stack now."""
    answer = httpx.get(f"{stack.addresses['admin']}/why", timeout=30)
    findings: list[dict[str, Any]] = answer.raise_for_status().json()["findings"]
    return findings


def found(stack: RunningStack, fault: StagedFault[Any]) -> tuple[dict[str, Any], float]:
    """The finding that says the fault, as soon as there is one, and how many seconds that took."""
    began = time.monotonic()

    def look() -> dict[str, Any] | None:
        seen = why(stack)
        return next((finding for finding in seen if fault.says(finding)), None)

    try:
        finding = eventually(look, within_s=SEEN_WITHIN_S, what=f"it is said: {fault.name}")
    except AssertionError as exc:
        raise AssertionError(f"{exc}; what was said instead: {why(stack)}") from None
    return finding, time.monotonic() - began


def nothing_wrong(stack: RunningStack) -> None:
    def look() -> bool:
        return why(stack) == []

    try:
        eventually(look, within_s=SEEN_WITHIN_S, what="nothing is wrong any more")
    except AssertionError as exc:
        raise AssertionError(f"{exc}; {why(stack)}") from None


@contextmanager
def nats_stopped(stack: RunningStack) -> Iterator[None]:
    with paused(stack.server_pid("nats")):
        yield
