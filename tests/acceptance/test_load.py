"""`python -m loadtests` as a person runs it: its exit code, its page, and that nothing stays behind.

No objective here is one of speed: the machine that runs the tests has other things to do.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis

from tests.stack import ROOT, RunningStack, eventually, made_api_key, running_stack

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(find_spec("locust") is None, reason="`make test-slow` and `make load` install locust"),
]

PATIENT = "99.5% within 150s"
ENDED_WITHIN_S = 200.0


@dataclass
class LoadTest:
    process: subprocess.Popen[str]
    report: Path
    log: Path
    seen: list[psutil.Process] = field(default_factory=list)
    """Whatever it started."""

    def started(self, what: str) -> bool:
        """Whether such a process runs under it."""
        self.seen = psutil.Process(self.process.pid).children(recursive=True)
        return any(what in " ".join(_command_line(child)) for child in self.seen)

    def ended(self) -> int:
        return self.process.wait(timeout=ENDED_WITHIN_S)

    def said(self) -> str:
        return self.log.read_text()

    def facts(self) -> dict[str, Any]:
        found = re.search(r'<script type="application/json" id="facts">(.*?)</script>', self.report.read_text(), re.S)
        assert found is not None
        facts: dict[str, Any] = json.loads(found[1])
        return facts


@contextmanager
def load_test(folder: Path, *options: str, **environment: str) -> Iterator[LoadTest]:
    report, log = folder / "report.html", folder / "load.log"
    command = [sys.executable, "-m", "loadtests", "--report", str(report), *options]
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **environment},
        )
        try:
            yield LoadTest(process=process, report=report, log=log)
        finally:
            # The rest dies with it.
            process.kill()
            process.wait()


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def test_a_burst_from_zero_on_a_stack_of_its_own_loses_nothing_and_leaves_a_page(tmp_path: Path) -> None:
    options = ("--shape", "burst", "--scale", "0.08", "--objective", PATIENT, "--data", str(tmp_path / "data"))
    with load_test(tmp_path, *options) as load:
        eventually(lambda: load.started("locust"), within_s=60, what="locust runs")
        processes = load.seen
        assert load.ended() == 0, load.said()
        assert [process for process in processes if process.is_running()] == []
    facts = load.facts()
    assert facts["passed"] is True
    assert facts["pictures"] == {"asked": 40, "turned_away": 0, "cut_off": 0}
    assert facts["ledger"] == {
        "accepted": 40, "completed": 40, "failed": 0, "lost": 0, "doubled": 0, "stuck": 0
    }  # fmt: skip
    assert facts["job_s"]["all"]["count"] == 40
    posts = ("POST resize", "POST crop", "POST renditions")
    assert sum(facts["request_s"][name]["count"] for name in posts) >= 40
    assert facts["cold_starts"].keys() >= {"resize", "crop"}
    assert "Instances of resize, wanted and ready" in load.report.read_text()
    assert "passed      nothing lost, doubled or stuck" in load.said()


def test_every_story_is_told_and_duplicates_are_one_job(tmp_path: Path) -> None:
    with load_test(tmp_path, "--shape", "steady", "--stretch", "0.1", "--objective", PATIENT) as load:
        assert load.ended() == 0, load.said()
    facts = load.facts()
    assert facts["visitors"]["came"] == facts["visitors"]["planned"] == 36
    assert {name for name, request in facts["request_s"].items() if request["failed"] == 0} >= {
        "POST resize", "POST uploads", "PUT signed upload", "POST event", "POST event, twice", "POST batch of events",
        "POST event at the Broker", "GET job", "GET job, waiting",
    }  # fmt: skip
    assert facts["ledger"]["accepted"] == facts["pictures"]["asked"] > facts["visitors"]["planned"]


@pytest.fixture(scope="module")
def api_key(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    keys = tmp_path_factory.mktemp("keys") / "keys.json"
    return keys, made_api_key(keys)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory, api_key: tuple[Path, str]) -> Iterator[RunningStack]:
    """A deployment that asks for keys, as the load test sees a cluster: by its address."""
    with running_stack(tmp_path_factory.mktemp("stack"), "--api-keys", str(api_key[0])) as stack:
        yield stack


def test_a_job_that_is_lost_by_force_fails_the_run(
    tmp_path: Path, elsewhere: RunningStack, api_key: tuple[Path, str]
) -> None:
    options = ("--shape", "burst", "--scale", "0.04", "--objective", PATIENT, "--host", elsewhere.addresses["api"])
    with (
        load_test(tmp_path, *options, DARKROOM_API_KEY=api_key[1]) as load,
        redis.Redis.from_url(elsewhere.addresses["redis"], decode_responses=True) as records,
    ):
        eventually(lambda: _delete_one_completed(records), within_s=60, what="a job completed, and was deleted")
        assert load.ended() == 1, load.said()
    facts = load.facts()
    assert facts["faults"] == ["the ledger is not clean: 1 lost"]
    assert (facts["ledger"]["accepted"], facts["ledger"]["lost"]) == (20, 1)
    assert "404 job.not_found" in load.said()
    assert "Not shown: nobody was asked for them" in load.report.read_text()
    assert api_key[1] not in load.said() + load.report.read_text()


def _delete_one_completed(records: redis.Redis) -> bool:
    for key in records.scan_iter("darkroom:job:*"):
        if records.hget(key, "status") == "completed":
            return bool(records.delete(key))
    return False


def test_an_objective_that_did_not_hold_fails_the_run(
    tmp_path: Path, elsewhere: RunningStack, api_key: tuple[Path, str]
) -> None:
    options = ("--shape", "burst", "--scale", "0.01", "--objective", "50% within 0s")
    where = ("--host", elsewhere.addresses["api"], "--metrics-url", f"{elsewhere.addresses['admin']}/metrics")
    with load_test(tmp_path, *options, *where, DARKROOM_API_KEY=api_key[1]) as load:
        assert load.ended() == 1, load.said()
    [fault] = load.facts()["faults"]
    assert fault == "the objective did not hold: 0 % of 5 pictures were done within 0 s, wanted are 50 %"


def test_a_host_that_is_not_there_is_no_verdict(tmp_path: Path) -> None:
    with load_test(tmp_path, "--shape", "burst", "--host", "http://127.0.0.1:1") as load:
        assert load.ended() == 2, load.said()
    assert "error: nothing answers at http://127.0.0.1:1" in load.said()
    assert not load.report.exists()


def test_a_missing_key_is_told_before_the_load(tmp_path: Path, elsewhere: RunningStack) -> None:
    where = ("--host", elsewhere.addresses["api"])
    with load_test(tmp_path, "--shape", "burst", *where, DARKROOM_API_KEY="") as load:
        assert load.ended() == 2, load.said()
    assert "requires an API key: set DARKROOM_API_KEY" in load.said()


def test_an_interrupt_ends_the_load_follows_what_was_accepted_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with load_test(tmp_path, "--shape", "soak", "--objective", PATIENT, "--data", str(tmp_path / "data")) as load:
        eventually(lambda: _jobs_completed(tmp_path / "data"), within_s=90, what="the load is under way")
        assert load.started("locust")
        processes = load.seen
        load.process.send_signal(signal.SIGINT)
        assert load.ended() == 1, load.said()
        assert [process for process in processes if process.is_running()] == []
    facts = load.facts()
    assert [fault.partition(":")[0] for fault in facts["faults"]] == ["interrupted"]
    assert facts["ledger"]["accepted"] > 0
    assert facts["ledger"]["stuck"] == facts["ledger"]["lost"] == facts["ledger"]["doubled"] == 0


def _jobs_completed(data: Path) -> bool:
    logs = [log.read_text(errors="replace") for log in (data / "logs").glob("resize*.log")]
    return any("job.completed" in log for log in logs)
