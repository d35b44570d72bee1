"""status with fakes: waiting, server-sent events, lists, and what is refused."""

from __future__ import annotations

import json
import threading
from typing import Any
from uuid import UUID

import httpx
import pytest

from darkroom.contract.errors import ImageCorruptError
from darkroom.contract.jobs import JobType
from darkroom.serving.testing import HttpClient, MemoryPipeline
from functions.status.app import build
from tests.contract.job_stores import a_result


class Status(HttpClient):
    """The function behind an HTTP client, and a worker that does its jobs."""

    def __init__(self) -> None:
        self.pipeline = MemoryPipeline("status")
        self.accept = self.pipeline.accept
        super().__init__(build(self.pipeline.resources))

    def complete(self, job_id: UUID) -> None:
        lease = self.pipeline.claim(job_id)
        self.pipeline.jobs.complete(lease, a_result(lease), {"render": 1})


@pytest.fixture
def status() -> Status:
    return Status()


def sent_events(answer: httpx.Response) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for block in answer.text.strip().split("\n\n"):
        fields = dict(line.partition(": ")[::2] for line in block.split("\n"))
        if "event" in fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found


def test_a_job_is_shown_as_it_is(status: Status) -> None:
    job_id = status.accept()
    shown = status.get(f"/api/v1/jobs/{job_id}").json()
    assert (shown["job_id"], shown["status"], shown["type"]) == (str(job_id), "queued", "resize")
    assert "result" not in shown
    status.complete(job_id)
    result = status.get(f"/api/v1/jobs/{job_id}").json()["result"]
    assert result["url"].startswith("http")
    assert result["expires_at"].endswith("Z")


def test_waiting_ends_with_the_job(status: Status) -> None:
    job_id = status.accept()
    threading.Timer(0.2, status.complete, [job_id]).start()
    assert status.get(f"/api/v1/jobs/{job_id}", params={"wait": "10"}).json()["status"] == "completed"


def test_waiting_ends_when_the_time_is_up(status: Status) -> None:
    job_id = status.accept()
    assert status.get(f"/api/v1/jobs/{job_id}", params={"wait": "0.1"}).json()["status"] == "queued"


@pytest.mark.parametrize(
    "query", ["wait=61", "wait=-1", "wait=nan", "wait=inf", "wait=1_0", "wait=", "wait=1&wait=2", "x=1"]
)
def test_a_wait_that_is_none_is_refused(status: Status, query: str) -> None:
    answer = status.get(f"/api/v1/jobs/{status.accept()}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "parameters.invalid")


def test_each_change_is_sent_as_an_event_and_the_stream_ends_with_the_job(status: Status) -> None:
    job_id = status.accept()

    def work() -> None:
        lease = status.pipeline.claim(job_id)
        threading.Timer(0.3, lambda: status.pipeline.jobs.fail(lease, ImageCorruptError("broken"))).start()

    threading.Timer(0.3, work).start()
    answer = status.get(f"/api/v1/jobs/{job_id}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = sent_events(answer)
    assert [name for name, _ in events] == ["queued", "processing", "failed"]
    assert events[-1][1]["error"]["code"] == "image.corrupt"
    assert answer.text.startswith("retry: ")


def test_the_events_of_a_job_that_has_ended_are_its_end(status: Status) -> None:
    job_id = status.accept()
    status.complete(job_id)
    [(name, job)] = sent_events(status.get(f"/api/v1/jobs/{job_id}/events"))
    assert (name, job["result"]["url"][:4]) == ("completed", "http")


def test_a_stream_is_bounded_and_says_that_it_lives(status: Status, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("functions.status.event_stream.MAX_STREAM_S", 0.3)
    monkeypatch.setattr("functions.status.event_stream.KEEP_ALIVE_S", 0.1)
    answer = status.get(f"/api/v1/jobs/{status.accept()}/events")
    assert answer.text.count(": still here") >= 2
    assert [name for name, _ in sent_events(answer)] == ["queued"]


@pytest.mark.parametrize("suffix", ["", "/events"])
@pytest.mark.parametrize("text", ["nonsense", "00000000000000000000000000000000", "%00", "a%0db", "%ff", "é" * 100])
def test_what_is_no_id_is_no_job(status: Status, text: str, suffix: str) -> None:
    answer = status.get(f"/api/v1/jobs/{text}{suffix}")
    assert (answer.status_code, answer.json()["code"]) == (404, "job.not_found")


def test_lists_are_paged_with_a_cursor(status: Status) -> None:
    made = {str(status.accept()) for _ in range(5)}
    status.accept(owner="somebody")
    first = status.get("/api/v1/jobs", params={"limit": 3}).json()
    second = status.get("/api/v1/jobs", params={"limit": 3, "cursor": first["next_cursor"]}).json()
    assert [len(page["jobs"]) for page in (first, second)] == [3, 2]
    assert {job["job_id"] for page in (first, second) for job in page["jobs"]} == made
    assert "next_cursor" not in second


def test_lists_can_be_of_one_status_and_type(status: Status) -> None:
    done, crop = status.accept(), status.accept(type=JobType.CROP)
    status.complete(done)
    assert [job["job_id"] for job in status.get("/api/v1/jobs?status=completed").json()["jobs"]] == [str(done)]
    assert [job["job_id"] for job in status.get("/api/v1/jobs?type=crop").json()["jobs"]] == [str(crop)]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=done", "status"),
        ("type=rotate", "type"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=1.0", "limit"),
        ("limit=" + "9" * 5000, "limit"),
        ("cursor=x", "cursor"),
        ("cursor=" + "A" * 5000, "cursor"),
        ("cursor=%00%ff", "cursor"),
        ("colour=red", "colour"),
        ("limit=1&limit=2", "limit"),
    ],
)
def test_every_mistake_in_a_query_is_named(status: Status, query: str, field: str) -> None:
    answer = status.get(f"/api/v1/jobs?{query}&bad=1")
    assert answer.status_code == 400
    assert {error["field"] for error in answer.json()["errors"]} == {field, "bad"}
