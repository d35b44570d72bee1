"""Locust as its users start it: by its own command, with its web page, and with workers that share one ledger."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest

from loadtests import recording
from loadtests.shapes import SHAPES
from tests.servers import free_port
from tests.stack import ROOT, RunningStack, eventually, running_stack

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(find_spec("locust") is None, reason="`make test-slow` and `make load` install locust"),
]

ENDED_WITHIN_S = 200.0
STARTED_WITHIN_S = 150.0
PATIENT = "99.5% within 150s"
OF_LIBRARIES = ("pyvips", "VIPS", "httpx", "httpcore")


@dataclass(kw_only=True)
class Locust:
    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        return self.log.read_text()

    def ended(self) -> int:
        return self.process.wait(timeout=ENDED_WITHIN_S)


@contextmanager
def locust(folder: Path, *options: str, name: str = "locust", in_a_group: bool = False) -> Iterator[Locust]:
    """Locust with our file, from the repository's root as the documentation says; `in_a_group` as a terminal does."""
    log = folder / f"{name}.log"
    command = [sys.executable, "-W", "ignore", "-m", "locust", "-f", "loadtests/locustfile.py", *options]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": ""},
            start_new_session=in_a_group,
        )
        try:
            yield Locust(process=process, log=log)
        finally:
            if in_a_group:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


def target(stack: RunningStack) -> list[str]:
    broker = f"{stack.addresses['broker']}/darkroom/darkroom"
    where = ["--host", stack.addresses["api"], "--admin-url", stack.addresses["admin"], "--broker-host", broker]
    return [*where, "--objective", PATIENT]


def test_help_shows_our_options_and_shapes_and_no_log_of_a_library() -> None:
    command = [sys.executable, "-m", "loadtests.by_hand", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=ENDED_WITHIN_S, check=True)
    text = " ".join(done.stdout.split())
    for option in ("--shape", "--scale", "--objective", "--admin-url", "--report"):
        assert option in text
    assert all(f"{name}: " in text for name in SHAPES)
    assert not any(library in done.stderr for library in OF_LIBRARIES)


def test_a_wrong_host_is_told_before_any_visitor_comes(tmp_path: Path) -> None:
    options = ("--headless", "--host", "http://127.0.0.1:1", "--report", str(tmp_path / "report.html"))
    with locust(tmp_path, *options) as run:
        assert run.ended() == 2
    assert "error: nothing answers at http://127.0.0.1:1" in run.said()
    assert "Shape test starting" not in run.said()


def test_a_run_from_the_web_page_is_checked_has_a_ledger_and_a_report_and_ends_with_one_interrupt(
    tmp_path: Path, stack: RunningStack
) -> None:
    port = free_port()
    page = f"http://127.0.0.1:{port}"
    options = ["--web-host", "127.0.0.1", "--web-port", str(port), "--class-picker"]
    report = tmp_path / "report.html"
    with (
        locust(tmp_path, *options, *target(stack), "--report", str(report)) as run,
        httpx.Client(base_url=page) as http,
    ):
        eventually(lambda: _answers(http), within_s=60, what="locust's page")
        html = http.get("/").text
        assert all(text in html for text in ("HeavyTailed", "Diurnal", "UploadAndPoll", "Who comes when.", "Ledger"))

        for form, message in (
            ({"shape_class": "Burst", "scale": "-1"}, "--scale: -1 is not more than 0"),
            ({"shape_class": "Burst", "host": "http://127.0.0.1:1"}, "nothing answers at http://127.0.0.1:1"),
            ({"shape_class": "Default"}, "choose a shape class"),
        ):
            answer = _swarm(http, stack, **form)
            assert (answer["success"], message in answer["message"]) == (False, True), answer

        assert _swarm(http, stack, shape_class="Burst", scale="0.02", user_classes="UploadAndPoll")["success"] is True
        assert "a run is under way" in _swarm(http, stack, shape_class="Burst")["message"]
        eventually(lambda: _ledger(http).get("verdict") == "passed", within_s=120, what="the verdict")
        assert _ledger(http).items() >= {("accepted", "10"), ("lost", "0"), ("doubled", "0"), ("stuck", "0")}
        first = recording.loads(http.get("/darkroom/report.json").text)
        assert {job.story for job in first.jobs} == {"UploadAndPoll"}
        assert "10 pictures within 10 s" in http.get("/darkroom/report.html").text

        # Another run, which is interrupted.
        assert _swarm(http, stack, shape_class="Steady", scale="1")["success"] is True
        eventually(
            lambda: _ledger(http).get("ended", "0") != "0",
            within_s=STARTED_WITHIN_S,
            what="the second run is under way",
        )
        run.process.send_signal(signal.SIGINT)
        assert run.ended() == 1, run.said()
    second = recording.read(report)
    assert (second.run.shape, second.run.interrupted) == ("steady", True)
    assert {job.outcome for job in second.jobs} <= {"completed", "cut off"}
    assert len(list(tmp_path.glob("report-*.html"))) == 1
    assert not any(library in run.said() for library in OF_LIBRARIES)


def _answers(http: httpx.Client) -> bool:
    try:
        return http.get("/").status_code == 200
    except httpx.TransportError:
        return False


def _swarm(http: httpx.Client, stack: RunningStack, **form: str) -> dict[str, Any]:
    fields = {"host": stack.addresses["api"], "user_count": "1", "spawn_rate": "1", **form}
    answer: dict[str, Any] = http.post("/swarm", data=fields, timeout=60).json()
    return answer


def _ledger(http: httpx.Client) -> dict[str, str]:
    [extended] = http.get("/stats/requests", timeout=60).json()["extended_stats"]
    return {row["name"]: row["value"] for row in extended["data"]}


@contextmanager
def distributed(folder: Path, stack: RunningStack, *options: str) -> Iterator[tuple[Locust, list[Locust], Path]]:
    """A master and two workers, each started by its own command."""
    port, report = str(free_port()), folder / "report.html"
    with ExitStack() as all_of_them:
        bind = ("--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--expect-workers", "2")
        command = ("--headless", *bind, *target(stack), "--report", str(report), *options)
        master = all_of_them.enter_context(locust(folder, *command, name="master"))
        to_master = ("--worker", "--master-host", "127.0.0.1", "--master-port", port)
        workers = [all_of_them.enter_context(locust(folder, *to_master, name=f"worker-{n}")) for n in (1, 2)]
        yield master, workers, report


def test_two_workers_and_one_ledger_lose_double_and_leave_nothing(tmp_path: Path, stack: RunningStack) -> None:
    with distributed(tmp_path, stack, "--shape", "steady", "--stretch", "0.15") as (master, workers, report):
        assert master.ended() == 0, master.said()
        assert [worker.ended() for worker in workers] == [0, 0]
    run = recording.read(report)
    assert (run.run.passed, run.run.generators, run.run.shape_s) == (True, 2, 9.0)
    assert {job.outcome for job in run.jobs} == {"completed"}
    assert len({job.job_id for job in run.jobs}) == len(run.jobs) >= 54
    # Every story was told, so that duplicates, too, came from either worker.
    assert {job.story for job in run.jobs} == SHAPES["steady"].mix.keys()
    assert "passed      nothing lost, doubled or stuck" in master.said()
    assert "2 workers of locust with one ledger" in report.read_text()


def test_a_worker_that_is_killed_fails_the_run_and_what_the_other_did_is_followed(
    tmp_path: Path, stack: RunningStack
) -> None:
    options = ("--shape", "steady", "--stretch", "0.15", "--settle", "30")
    with distributed(tmp_path, stack, *options) as (master, workers, report):
        eventually(lambda: "JOB " in master.said(), within_s=STARTED_WITHIN_S, what="a job has ended")
        workers[0].process.kill()
        assert master.ended() == 1, master.said()
        assert workers[1].ended() == 0
    facts = json.loads(report.read_text().partition('id="facts">')[2].partition("</script>")[0])
    assert any(fault.startswith("a load generator was lost: ") for fault in facts["faults"])
    outcomes = Counter(job.outcome for job in recording.read(report).jobs)
    assert outcomes["completed"] > 0
    assert (outcomes["lost"], outcomes["stuck"]) == (0, 0)


def test_one_interrupt_ends_a_run_with_workers_of_its_own(tmp_path: Path, stack: RunningStack) -> None:
    """As a terminal does it: every process of the group is interrupted at once."""
    port, report = str(free_port()), tmp_path / "report.html"
    where = ("--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--master-port", port)
    options = ("--headless", "--only-summary", "--processes", "2", *where, "--shape", "soak", "--report", str(report))
    with locust(tmp_path, *options, *target(stack), in_a_group=True) as run:
        eventually(lambda: " under way (" in run.said(), within_s=STARTED_WITHIN_S, what="jobs are under way")
        os.killpg(run.process.pid, signal.SIGINT)
        assert run.ended() == 1, run.said()
    found = recording.read(report)
    assert (found.run.interrupted, found.run.generators) == (True, 2)
    assert {job.outcome for job in found.jobs} <= {"completed", "cut off"}
