"""The status says which dependency hangs, instead of hanging with it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from darkroom.errors import DependencyUnavailableError
from darkroom.local import run_folder
from darkroom.local.eventing.brokers import Brokers
from darkroom.local.extension import NoApplication
from darkroom.local.reporting import report_nothing
from darkroom.local.revisions.fleet import Fleet
from darkroom.local.revisions.limit import InstanceLimit
from darkroom.local.run_folder import RunFolder
from darkroom.local.watching import overview
from darkroom.local.watching.overview import Overview
from darkroom.manifests import load


@dataclass(kw_only=True)
class StandInServer:
    name: str
    state: str
    """`up`, `hangs`, or what it says."""
    url: str = "redis://:a-password@127.0.0.1:1/0"

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def check(self) -> None:
        if self.state == "hangs":
            await asyncio.Event().wait()
        if self.state != "up":
            raise DependencyUnavailableError(self.name, self.state)


def status_of(
    folder: Path, *states: str, sections: Mapping[str, Callable[[], Mapping[str, Any]]] | None = None
) -> dict[str, Any]:
    async def read() -> dict[str, Any]:
        shown = Overview(
            servers={state: StandInServer(name=state, state=state) for state in states},
            fleet=Fleet(InstanceLimit(1), report_nothing),
            brokers=Brokers(load([]), report_nothing, lambda work, name: asyncio.create_task(work, name=name)),
            application=NoApplication(status=sections or {}),
            folder=RunFolder(folder),
        )
        return await shown.status()

    return asyncio.run(read())


@pytest.fixture(autouse=True)
def _short_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "ANSWER_WITHIN_S", 0.1)


def test_a_server_that_hangs_is_shown_as_such_beside_the_others(tmp_path: Path) -> None:
    status = status_of(tmp_path, "up", "hangs", "refuses")
    states = {server["name"]: server["state"] for server in status["servers"]}
    assert states == {"up": "up", "hangs": "no answer within 0.1 s", "refuses": "refuses: refuses"}
    assert status["data"]["state"] == "ok"


def test_a_password_is_not_shown(tmp_path: Path) -> None:
    assert "a-password" not in str(status_of(tmp_path, "up"))


def test_a_section_of_the_application_that_hangs_or_fails_says_so_and_the_others_are_shown(tmp_path: Path) -> None:
    released = threading.Event()

    def hang() -> Mapping[str, Any]:
        released.wait(timeout=30)
        return {}

    def fail() -> Mapping[str, Any]:
        raise DependencyUnavailableError("jobs", "gone")

    threading.Timer(0.5, released.set).start()
    status = status_of(tmp_path, sections={"hanging": hang, "failing": fail, "whole": lambda: {"a": 1}})
    assert status["hanging"] == {"error": "no answer within 0.1 s"}
    assert status["failing"] == {"error": "jobs: gone"}
    assert status["whole"] == {"a": 1}


def test_no_server_of_ours_is_up_on_a_full_disk_of_somebody_elses_it_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_folder, "LOWEST_FREE_BYTES", 1 << 62)
    status = status_of(tmp_path, "up")
    assert "is full" in status["data"]["state"]
    assert status["servers"][0]["state"] == "up", "it is not ours, and writes elsewhere"
