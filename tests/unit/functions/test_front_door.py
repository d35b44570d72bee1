"""ingest and status behind their gate, with fakes: keys, owners, rates, and hostile strings."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from darkroom.contract.api_keys import make_key
from darkroom.imaging.photograph import make_photograph
from darkroom.serving.key_file import write_key_file
from darkroom.serving.testing import HttpClient, MemoryPipeline
from functions.ingest import app as ingest
from functions.status import app as status

PICTURE = make_photograph(64, 48)


class FrontDoor:
    """Both functions over the same adapters, and two keys."""

    def __init__(self, key_file: Path) -> None:
        (self.ours, self.our_key), (self.theirs, self.their_key) = make_key("ours"), make_key("theirs")
        self.key_file = key_file
        write_key_file(key_file, [self.our_key, self.their_key])
        settings = {
            "API_KEYS": "on",
            "API_KEYS_FILE": str(key_file),
            "RATE_LIMIT": "5/minute",
            "RATE_LIMIT_READS": "5/minute",
        }
        self.pipeline = MemoryPipeline("ingest", settings=settings)
        self._clients = {
            "ingest": HttpClient(ingest.build(self.pipeline.resources)),
            "status": HttpClient(status.build(self.pipeline.resources_of("status", settings=settings))),
        }

    def call(
        self, method: str, path: str, *, key: str | None = None, to: str = "ingest", **request: Any
    ) -> httpx.Response:
        headers = dict(request.pop("headers", {}))
        if key is not None:
            headers["authorization"] = f"Bearer {key}"
        return self._clients[to].call(method, path, headers=headers, **request)

    def submit(self, key: str | None, **more: Any) -> httpx.Response:
        form = {"image": ("a.jpg", PICTURE)}
        return self.call("POST", "/api/v1/resize", key=key, files=form, data={"width": "32"}, **more)

    def job(self, job_id: str, key: str | None, **more: Any) -> httpx.Response:
        return self.call("GET", f"/api/v1/jobs/{job_id}", key=key, to="status", **more)


@pytest.fixture
def door(tmp_path: Path) -> FrontDoor:
    return FrontDoor(tmp_path / "keys.json")


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


@pytest.mark.parametrize(
    ("method", "path", "to"),
    [
        ("POST", "/api/v1/resize", "ingest"),
        ("POST", "/api/v1/crop", "ingest"),
        ("POST", "/api/v1/uploads", "ingest"),
        ("POST", "/api/v1/events", "ingest"),
        ("POST", "/", "ingest"),
        ("GET", f"/api/v1/jobs/{UUID(int=7)}", "status"),
        ("GET", f"/api/v1/jobs/{UUID(int=7)}/events", "status"),
        ("GET", "/api/v1/jobs", "status"),
    ],
)
def test_every_path_asks_for_a_key(door: FrontDoor, method: str, path: str, to: str) -> None:
    missing = door.call(method, path, to=to)
    assert code(missing) == (401, "auth.missing")
    assert missing.headers["www-authenticate"] == "Bearer"
    stranger, _ = make_key("stranger")
    assert code(door.call(method, path, to=to, key=stranger)) == (401, "auth.invalid")
    assert not door.pipeline.storage.keys


def test_health_and_the_description_of_the_api_are_for_everybody(door: FrontDoor) -> None:
    for _ in range(10):
        assert door.call("GET", "/health/live").status_code == 200
    assert door.call("GET", "/openapi.json").status_code == 200
    assert door.call("GET", "/health/ready", to="status").status_code == 200


def test_a_job_belongs_to_the_key_that_made_it(door: FrontDoor) -> None:
    job_id = door.submit(door.ours).json()["job_id"]
    assert door.pipeline.record(job_id).owner == door.our_key.id
    assert door.job(job_id, door.ours).status_code == 200


@pytest.mark.parametrize("suffix", ["", "?wait=1", "/events"])
def test_anothers_job_is_byte_for_byte_the_same_as_no_job(door: FrontDoor, suffix: str) -> None:
    job_id = door.submit(door.ours).json()["job_id"]
    no_job = str(uuid4())
    headers = {"x-request-id": "same"}
    anothers = door.job(job_id + suffix, door.theirs, headers=headers)
    unknown = door.job(no_job + suffix, door.theirs, headers=headers)
    assert code(anothers) == (404, "job.not_found")
    assert anothers.content.replace(job_id.encode(), no_job.encode()) == unknown.content
    volatile = {"ratelimit", "date"}
    assert [item for item in anothers.headers.items() if item[0] not in volatile] == [
        item for item in unknown.headers.items() if item[0] not in volatile
    ]


def test_anothers_uploads_are_not_there(door: FrontDoor) -> None:
    key = door.call("POST", "/api/v1/uploads", key=door.ours).json()["storage_key"]
    door.pipeline.storage.put(key, PICTURE, content_type="image/jpeg")
    body = {"parameters": {"width": 32}, "input": {"storage_key": key}}
    event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "dev.darkroom.resize.requested", "data": body}
    structured = {"content-type": "application/cloudevents+json"}
    for path, sent, headers in (("/api/v1/resize", body, {}), ("/", event, structured)):
        refused = door.call("POST", path, key=door.theirs, json=sent, headers=headers)
        assert code(refused) == (404, "input.not_found"), path
        assert refused.json()["detail"] == f"nothing is stored under {key}"
        assert door.call("POST", path, key=door.ours, json=sent, headers=headers).status_code == 202, path


@pytest.mark.parametrize("key", ["processed/x.jpg", "uploads/x/original", "other/x"])
def test_only_uploads_can_be_named_as_input(door: FrontDoor, key: str) -> None:
    door.pipeline.storage.put(key, PICTURE, content_type="image/jpeg")
    body = {"parameters": {"width": 32}, "input": {"storage_key": key}}
    assert code(door.call("POST", "/api/v1/resize", key=door.ours, json=body)) == (404, "input.not_found")


def test_one_keys_idempotency_keys_are_not_anothers(door: FrontDoor) -> None:
    headers = {"idempotency-key": "order-7"}
    first = door.submit(door.ours, headers=headers).json()["job_id"]
    assert door.submit(door.ours, headers=headers).json()["job_id"] == first
    assert door.submit(door.theirs, headers=headers).json()["job_id"] != first


def test_a_revoked_key_is_out(door: FrontDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("darkroom.serving.auth.LOOK_EVERY_S", 0.0)
    assert door.submit(door.ours).status_code == 202
    write_key_file(door.key_file, [replace(door.our_key, revoked_at=datetime.now(UTC)), door.their_key])
    assert code(door.submit(door.ours)) == (401, "auth.invalid")
    assert door.submit(door.theirs).status_code == 202


def test_a_key_may_send_requests_at_its_rate_and_learns_how_many_are_left(door: FrontDoor) -> None:
    answers = [door.submit(door.ours) for _ in range(7)]
    assert [answer.status_code for answer in answers] == [202] * 5 + [429] * 2
    assert answers[0].headers["ratelimit-policy"] == '"key";q=5;w=60'
    assert [answer.headers["ratelimit"].split(";")[1] for answer in answers] == [
        *("r=4", "r=3", "r=2", "r=1", "r=0"),
        *("r=0", "r=0"),
    ]
    assert answers[5].json()["code"] == "rate.limited"
    assert answers[5].headers["retry-after"] == "12"
    assert door.submit(door.theirs).status_code == 202, "another key has a rate of its own"
    door.pipeline.advance(11.9)
    assert door.submit(door.ours).status_code == 429
    door.pipeline.advance(0.1)
    assert door.submit(door.ours).status_code == 202


def test_reads_and_writes_are_counted_apart(door: FrontDoor) -> None:
    answers = [door.submit(door.ours) for _ in range(5)]
    job_id = answers[0].json()["job_id"]
    assert [door.job(job_id, door.ours).status_code for _ in range(6)] == [200] * 5 + [429]


def test_keys_cannot_be_guessed_faster_than_the_rate(door: FrontDoor) -> None:
    answers = [door.submit(make_key("guess")[0]) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    assert answers[0].headers["ratelimit-policy"].startswith('"address"')
    assert door.submit(door.ours).status_code == 202, "who has a key is not held up by who has none"


def test_nobody_else_is_believed_to_be_forwarded_for(door: FrontDoor) -> None:
    answers = [door.submit(None, headers={"x-forwarded-for": f"9.9.9.{n}"}) for n in range(6)]
    assert answers[-1].status_code == 429
