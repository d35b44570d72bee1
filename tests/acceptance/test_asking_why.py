"""What operators ask a running pipeline: what does a job wait for, what failed, which server does not answer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from redis import Redis

from darkroom.contract.job_types import job_type_named
from darkroom.contract.parameters.values import Format
from tests.pictures import corrupted, photo
from tests.stack import ROOT, RunningStack, eventually, refused_up

pytestmark = [pytest.mark.slow, pytest.mark.timeout(170)]


def darkroom(stack: RunningStack, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "darkroom.cli", *arguments, "--data", str(stack.data)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@contextmanager
def paused(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_failed_job_is_explained_from_the_beginning_of_its_id(stack: RunningStack) -> None:
    # Whole by its header, and damaged after it.
    damaged = corrupted(photo(Format.PNG), [(-n, 0) for n in range(30, 2000, 7)])
    job_id = stack.submit("resize", damaged, width=50)
    assert stack.ended(job_id)["status"] == "failed"

    shown = json.loads(darkroom(stack, "job", job_id[:10]).stdout)

    assert (shown["job_id"], shown["parameters"], shown["cost_class"]) == (job_id, {"width": 50}, "standard")
    assert len(shown["trace_id"]) == 32
    assert [attempt["code"] for attempt in shown["attempts_log"]] == [shown["error"]["code"]]
    logged = darkroom(stack, "logs", job_id[:10]).stdout
    assert {"ingest", "resize"} <= {line.split("\t")[1] for line in logged.splitlines()}


def test_status_names_the_server_that_does_not_answer(stack: RunningStack) -> None:
    with paused(stack.server_pid("nats")):
        done = darkroom(stack, "status")
        assert "NATS does not answer: no answer " in done.stderr
        assert "server\tredis\t" in done.stdout
        lists = darkroom(stack, "deadletters", "list", code=1)
        assert lists.stderr.rstrip().endswith("no answer in time")
    eventually(lambda: "NATS" not in darkroom(stack, "status").stderr, within_s=30, what="NATS answers again")


def test_a_letter_of_a_stranger_is_printed_as_text(stack: RunningStack) -> None:
    httpx.post(
        f"{stack.addresses['broker']}/darkroom/darkroom",
        content=b"junk",
        headers={
            "ce-specversion": "1.0",
            "ce-id": "[/x]",
            "ce-source": "/shop",
            "ce-subject": "[/x]%E2%80%AE",
            "ce-type": job_type_named("resize").event_type,
            "content-type": "application/json",
        },
    ).raise_for_status()
    listed = eventually(lambda: darkroom(stack, "deadletters", "list").stdout, within_s=60, what="it is kept")
    assert "[/x]" in listed
    assert not set(listed) & {"\x1b", "\u202e"}


def test_a_record_of_another_version_hides_nothing_and_keeps_nobody_waiting(
    stack: RunningStack, photograph: bytes
) -> None:
    odd, sound = (stack.submit("resize", photograph, width=width) for width in (60, 61))
    for job_id in (odd, sound):
        stack.completed(job_id)
    with Redis.from_url(stack.addresses["redis"]) as client:
        client.hset(f"darkroom:job:{odd}", "type", "hologram")
    api = f"{stack.addresses['api']}/api/v1/jobs"

    began = time.monotonic()
    for path in (f"/{odd}", f"/{odd}?wait=50"):
        answer = httpx.get(f"{api}{path}", timeout=60)
        assert (answer.status_code, answer.json()["status"]) == (200, "unreadable")
    assert "event: unreadable" in httpx.get(f"{api}/{odd}/events", timeout=60).text
    assert time.monotonic() - began < 40, "it waited for what it cannot read"

    listed = {job["job_id"]: job["status"] for job in httpx.get(api, timeout=60).json()["jobs"]}
    assert (listed[odd], listed[sound]) == ("unreadable", "completed")
    rows = dict(line.split("\t")[0:3:2] for line in darkroom(stack, "jobs", "list").stdout.splitlines())
    assert (rows[odd], rows[sound]) == ("unreadable", "completed")
    assert json.loads(darkroom(stack, "job", odd).stdout)["error"]["code"] == "job.unreadable"
    assert "another version" in darkroom(stack, "job", odd, "--wait", "30", code=1).stderr


def test_unreachable_servers_and_damaged_files_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "s3-credentials.json").write_text("{")
    cases = {
        ("--nats", "nats://127.0.0.1:1"): "--nats",
        ("--redis", "redis://127.0.0.1:1"): "--redis",
        ("--s3", "http://127.0.0.1:1"): "--s3",
        ("--data", str(tmp_path / "damaged")): "s3-credentials.json",
    }
    credentials = {"STORAGE_ACCESS_KEY": "a", "STORAGE_SECRET_KEY": "b"}
    for options, words in cases.items():
        told = refused_up(ROOT, "--data", str(tmp_path / "data"), *options, environment=credentials)
        assert told.startswith("Error: ")
        assert words in told
        assert told.count("\n") == 1
