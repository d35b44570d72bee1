"""`GET /why`: one look a second, the application's findings beside the platform's, and since when each holds."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from darkroom.diagnosis import Finding
from darkroom.errors import DependencyUnavailableError
from darkroom.local.extension import NoApplication
from darkroom.local.watching import why
from darkroom.local.watching.answering import answering_time, is_stopped
from darkroom.local.watching.why import Why
from tests.stack import eventually

NATS_DOWN = {"servers": [{"name": "nats", "state": "gone", "is_ours": True}]}


@dataclass(frozen=True, kw_only=True)
class Shop(NoApplication):
    findings: Mapping[str, Callable[[Mapping[str, Any]], Sequence[Finding]]] = field(default_factory=dict)


def finding(code: str, **changes: Any) -> Finding:
    members: dict[str, Any] = {"severity": "risk", "subject": "shelf", "sentence": "It is bare.", "remedy": "Fill it."}
    return Finding(code=code, **{**members, **changes})


class Looks:
    """A Why whose status documents the test gives, one for each look."""

    def __init__(self, *documents: dict[str, Any], **parts: Callable[[Mapping[str, Any]], Sequence[Finding]]) -> None:
        self.taken = 0
        self._documents = documents
        self.why = Why(self._status, Shop(findings=parts))

    async def _status(self) -> dict[str, Any]:
        self.taken += 1
        return self._documents[min(self.taken, len(self._documents)) - 1]

    def codes(self) -> list[str]:
        return [each["code"] for each in asyncio.run(self.why.document())["findings"]]


@pytest.fixture
def _looks_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(why, "KEPT_FOR_S", 0.0)


def test_many_who_ask_at_once_cost_one_look() -> None:
    looks = Looks({})

    async def ask() -> None:
        await asyncio.gather(*(looks.why.document() for _ in range(5)))

    asyncio.run(ask())
    assert looks.taken == 1


def test_the_findings_of_the_application_are_ordered_with_the_platforms() -> None:
    looks = Looks(NATS_DOWN, shelf=lambda status: [finding("bare", severity="loss"), finding("dusty")])
    assert looks.codes() == ["bare", "server.down", "dusty"]


@pytest.mark.usefixtures("_looks_anew")
def test_a_finding_keeps_the_time_at_which_it_was_first_seen() -> None:
    looks = Looks(NATS_DOWN, NATS_DOWN, {}, NATS_DOWN)

    async def since() -> float | None:
        findings = (await looks.why.document())["findings"]
        return findings[0]["since"] if findings else None

    async def ask() -> list[float | None]:
        return [await since() for _ in range(4)]

    first, second, none, again = asyncio.run(ask())
    assert first == second
    assert none is None
    assert again is not None
    assert first is not None
    assert again > first


def test_a_part_that_fails_or_hangs_is_said_and_hides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(why, "ANSWER_WITHIN_S", 0.1)
    released = threading.Event()

    def fail(_status: Mapping[str, Any]) -> Sequence[Finding]:
        raise DependencyUnavailableError("jobs", "refused")

    def hang(_status: Mapping[str, Any]) -> Sequence[Finding]:
        released.wait(timeout=30)
        return []

    looks = Looks({}, store=fail, letters=hang, shelf=lambda _: [finding("bare")])

    async def ask() -> dict[str, Any]:
        found = await looks.why.document()
        released.set()
        return found

    said = {each["subject"]: each["sentence"] for each in asyncio.run(ask())["findings"]}
    assert said["shelf"] == "It is bare."
    assert said["store"].startswith("the store cannot be looked at: jobs: refused")
    assert said["letters"].startswith("the letters cannot be looked at: no answer within 0.1 s")


def test_a_check_that_is_slow_once_is_not_slow() -> None:
    waits = iter((0.2, 0.0))

    async def check() -> None:
        await asyncio.sleep(next(waits))

    assert asyncio.run(answering_time(check, retry_above_s=0.1)) < 0.1


def test_a_check_that_is_slow_twice_is_slow_and_one_that_fails_raises() -> None:
    async def slow() -> None:
        await asyncio.sleep(0.1)

    async def fails() -> None:
        raise DependencyUnavailableError("s3", "gone")

    assert asyncio.run(answering_time(slow, retry_above_s=0.05)) > 0.05
    with pytest.raises(DependencyUnavailableError):
        asyncio.run(answering_time(fails, retry_above_s=0.05))


def test_a_process_that_somebody_stopped_is_recognised() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert not is_stopped(process.pid)
        process.send_signal(signal.SIGSTOP)
        eventually(lambda: is_stopped(process.pid), within_s=10, what="it is stopped")
        process.kill()
    assert not is_stopped(process.pid)
