"""kill -9 on everything, one at a time, with jobs under way: every accepted job completes, once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from darkroom.imaging.photograph import make_photograph
from tests.stack import RunningStack, eventually, running_stack

RECOVERED_WITHIN_S = 120


@pytest.fixture(scope="module")
def large_photograph() -> bytes:
    """Takes long enough as AVIF that a worker can be caught at it."""
    return make_photograph(3000, 2000)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


def test_a_worker_killed_in_mid_render_costs_an_attempt_and_its_job_completes_once(
    stack: RunningStack, large_photograph: bytes
) -> None:
    job_id = stack.submit("resize", large_photograph, width=1500, format="avif", effort=5)
    stack.claimed(job_id)

    for worker in _workers_of(stack, "resize-heavy"):
        os.kill(worker.pid, signal.SIGKILL)

    job = stack.completed(job_id, within_s=RECOVERED_WITHIN_S)
    assert job["attempts"] == 2
    assert len(stack.download(job)) == job["result"]["bytes"]
    assert stack.job(job_id) | {"result": None} == job | {"result": None}


@pytest.mark.parametrize("server", ["nats", "redis", "s3"])
def test_a_server_killed_with_twenty_jobs_under_way_loses_none(
    stack: RunningStack, server: str, photograph: bytes
) -> None:
    job_ids = stack.submit_many(10, "resize", photograph, width=200)
    restarts = _restarts(stack, server)

    os.kill(stack.server_pid(server), signal.SIGKILL)
    job_ids += _submit_until_accepted(stack, 10, photograph)

    eventually(lambda: _restarts(stack, server) > restarts, within_s=30, what=f"{server} is restarted")
    jobs = [stack.completed(job_id, within_s=RECOVERED_WITHIN_S) for job_id in job_ids]
    assert len({job["job_id"] for job in jobs}) == 20
    for job in jobs:
        assert len(stack.download(job)) == job["result"]["bytes"]


def test_the_fork_server_killed_with_twenty_jobs_under_way_takes_every_function_with_it_and_loses_none(
    stack: RunningStack, photograph: bytes
) -> None:
    died = len(stack.events(action="fork_server.died"))
    job_ids = stack.submit_many(20, "resize", photograph, width=200)
    assert stack.process is not None
    [zygote] = [
        child
        for child in psutil.Process(stack.process.pid).children()
        if "darkroom.local.children.zygote" in child.cmdline()
    ]

    zygote.kill()

    eventually(lambda: len(stack.events(action="fork_server.died")) > died, within_s=30, what="its death is told of")
    jobs = [stack.completed(job_id, within_s=RECOVERED_WITHIN_S) for job_id in job_ids]
    assert len({job["job_id"] for job in jobs}) == 20
    for job in jobs:
        assert len(stack.download(job)) == job["result"]["bytes"]


def _submit_until_accepted(stack: RunningStack, count: int, photograph: bytes) -> list[str]:
    """As a client does who honours 503: what was not accepted is sent again."""
    accepted: list[str] = []

    def send() -> bool:
        answer = stack.post("crop", photograph, x=1, y=1, width=100, height=100)
        assert answer.status_code in {202, 503}, answer.text
        if answer.status_code == 503:
            assert int(answer.headers["retry-after"]) > 0
            return False
        accepted.append(answer.json()["job_id"])
        return True

    for _ in range(count):
        eventually(send, within_s=60, what="the job is accepted")
    return accepted


def _restarts(stack: RunningStack, server: str) -> int:
    return int(next(row for row in stack.status()["servers"] if row["name"] == server)["restarts"])


def _workers_of(stack: RunningStack, service: str) -> list[psutil.Process]:
    """The processes that render: gunicorn's workers, children of the instance's master."""
    masters = [psutil.Process(pid) for pid in stack.function(service)["pids"]]
    workers = [child for master in masters for child in master.children(recursive=True)]
    assert workers
    return workers


def test_killing_the_supervisor_leaves_no_process_and_the_next_start_finishes_its_jobs(
    tmp_path: Path, large_photograph: bytes
) -> None:
    with running_stack(tmp_path / "data") as stack:
        # One that takes seconds, so that it is under way for certain, among others that are anywhere.
        slow = stack.submit("resize", large_photograph, width=1500, format="avif", effort=5)
        job_ids = [slow, *stack.submit_many(8, "resize", large_photograph, width=1500, format="webp", effort=5)]
        stack.claimed(slow)
        children = stack.descendants()
        assert {"nats-server", "valkey-server", "weed"} <= {child.name() for child in children}

        stack.kill()

        eventually(lambda: not any(map(_runs, children)), within_s=10, what="every child is gone")
        with pytest.raises(httpx.TransportError):
            httpx.get(stack.addresses["api"])

        stack.start()
        for job_id in job_ids:
            stack.completed(job_id, within_s=RECOVERED_WITHIN_S)


def _runs(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_ctrl_c_leaves_no_process(tmp_path: Path) -> None:
    with running_stack(tmp_path / "data") as stack:
        children = stack.descendants()
        assert stack.stop() == 0
        assert not any(map(_runs, children))
        assert not (stack.data / "runtime.json").exists()
