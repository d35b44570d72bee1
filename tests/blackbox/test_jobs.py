"""What a client may rely on, of any deployment: every way to hand over a picture, and what becomes of it."""

from __future__ import annotations

import json
import uuid
from typing import Any

import httpx
import pytest

from tests.blackbox.client import Deployment, accepted, downloaded, png, png_size, problem

# A stack of its own, or somebody's cluster: not for `make test`.
pytestmark = pytest.mark.slow

PICTURE = png(320, 240)


def test_a_resized_picture_has_the_asked_size(deployment: Deployment) -> None:
    job = deployment.completed(deployment.submit("resize", PICTURE, width=160))
    assert png_size(downloaded(job)) == (160, 120)
    assert (job["result"]["width"], job["result"]["height"]) == (160, 120)
    assert job["attempts"] >= 1


def test_a_cropped_picture_has_the_asked_area(deployment: Deployment) -> None:
    job = deployment.completed(deployment.submit("crop", PICTURE, x=10, y=20, width=100, height=50))
    assert png_size(downloaded(job)) == (100, 50)


@pytest.mark.parametrize(
    ("format_", "content_type", "magic"),
    [
        ("jpeg", "image/jpeg", b"\xff\xd8\xff"),
        ("png", "image/png", b"\x89PNG"),
        ("webp", "image/webp", b"RIFF"),
        ("gif", "image/gif", b"GIF8"),
        ("avif", "image/avif", b"\x00\x00\x00"),
    ],
)
def test_every_format_can_be_asked_for(deployment: Deployment, format_: str, content_type: str, magic: bytes) -> None:
    job = deployment.completed(deployment.submit("resize", PICTURE, width=64, format=format_))
    assert job["result"]["content_type"] == content_type
    assert downloaded(job).startswith(magic)


def test_the_picture_may_be_the_body(deployment: Deployment) -> None:
    answer = deployment.post(
        "/api/v1/resize", content=PICTURE, params={"width": 80}, headers={"Content-Type": "image/png"}
    )
    assert png_size(downloaded(deployment.completed(accepted(answer)))) == (80, 60)


def uploaded(deployment: Deployment) -> str:
    """The key of a picture that went straight to storage."""
    answer = deployment.post("/api/v1/uploads")
    assert answer.status_code == 201, answer.text
    upload = answer.json()["upload"]
    stored = httpx.request(upload["method"], upload["url"], headers=upload["headers"], content=PICTURE, timeout=60)
    assert stored.is_success, stored.text
    return str(answer.json()["storage_key"])


def test_a_picture_that_was_uploaded_cannot_be_replaced(deployment: Deployment) -> None:
    place = deployment.post("/api/v1/uploads").json()
    upload, key = place["upload"], place["storage_key"]

    def put(body: bytes) -> int:
        return httpx.request(
            upload["method"], upload["url"], headers=upload["headers"], content=body, timeout=60
        ).status_code

    assert put(PICTURE) in {200, 201, 204}
    assert put(PICTURE[:-1] + b"x") == 412
    answer = deployment.post("/api/v1/resize", json={"parameters": {"width": 80}, "input": {"storage_key": key}})
    assert put(b"another picture") == 412
    assert png_size(downloaded(deployment.completed(accepted(answer)))) == (80, 60)


def test_a_picture_in_storage_is_named_by_its_key(deployment: Deployment) -> None:
    body = {"parameters": {"width": 80}, "input": {"storage_key": uploaded(deployment)}}
    answer = deployment.post("/api/v1/resize", json=body)
    assert png_size(downloaded(deployment.completed(accepted(answer)))) == (80, 60)


def event(data: dict[str, Any], event_type: str = "dev.darkroom.resize.requested") -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": "/blackbox",
        "type": event_type,
        "datacontenttype": "application/json",
        "data": data,
    }


def binary(document: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a request that carries an event in binary mode."""
    attributes = {f"ce-{name}": value for name, value in document.items() if name not in {"data", "datacontenttype"}}
    return {"content": json.dumps(document["data"]), "headers": {**attributes, "Content-Type": "application/json"}}


@pytest.mark.parametrize("path", ["/", "/api/v1/events"])
@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_an_event_asks_for_a_job(deployment: Deployment, path: str, mode: str) -> None:
    document = event({"parameters": {"width": 80}, "input": {"storage_key": uploaded(deployment)}})
    arguments = (
        binary(document)
        if mode == "binary"
        else {"content": json.dumps(document), "headers": {"Content-Type": "application/cloudevents+json"}}
    )
    job = deployment.completed(accepted(deployment.post(path, **arguments)))
    assert png_size(downloaded(job)) == (80, 60)


def test_a_repeated_post_with_its_key_is_one_job(deployment: Deployment) -> None:
    key = {"Idempotency-Key": str(uuid.uuid4())}
    first = deployment.submit("resize", PICTURE, headers=key, width=90)
    assert deployment.submit("resize", PICTURE, headers=key, width=90) == first
    other = deployment.post("/api/v1/resize", files={"image": PICTURE}, data={"width": "91"}, headers=key)
    problem(other, 422, "idempotency.mismatch")


def test_waiting_answers_when_the_job_has_ended(deployment: Deployment) -> None:
    job_id = deployment.submit("resize", PICTURE, width=70)
    assert deployment.ended(job_id)["status"] == "completed"
    assert deployment.job(job_id, wait_s=60)["status"] == "completed"


def test_changes_are_told_until_the_end(deployment: Deployment) -> None:
    job_id = deployment.submit("resize", PICTURE, width=60)
    told = deployment.get(f"/api/v1/jobs/{job_id}/events", headers={"Accept": "text/event-stream"})
    assert told.headers["content-type"].startswith("text/event-stream")
    last = [line.removeprefix("data:") for line in told.text.splitlines() if line.startswith("data:")][-1]
    assert json.loads(last)["status"] == "completed"


def test_jobs_are_listed_newest_first(deployment: Deployment) -> None:
    ids = [deployment.submit("resize", PICTURE, width=50 + n) for n in range(2)]
    listed = deployment.get("/api/v1/jobs", params={"limit": 10}).json()["jobs"]
    there = [job["job_id"] for job in listed if job["job_id"] in ids]
    assert there == ids[::-1]


def test_a_signed_url_is_good_for_its_own_key_only(deployment: Deployment) -> None:
    url = deployment.completed(deployment.submit("resize", PICTURE, width=40))["result"]["url"]
    assert httpx.get(url.partition("?")[0], timeout=60).status_code == 403
    assert httpx.get(url.replace("processed/", "uploads/"), timeout=60).status_code == 403
    assert httpx.put(url, content=b"x", timeout=60).status_code == 403


# --- what goes past the front door -----------------------------------------------------------------------------------


def test_an_event_that_is_delivered_again_changes_nothing(deployment: Deployment, broker: str) -> None:
    job = deployment.completed(deployment.submit("resize", PICTURE, width=75))
    message = {
        "job_id": job["job_id"],
        "type": "resize",
        "parameters": {"width": 75},
        "input": {"storage_key": f"uploads/{job['job_id']}/original.png"},
        "metadata": {"created_at": job["created_at"], "retry_count": 0, "request_id": job["request_id"]},
    }
    for _ in range(10):
        answer = httpx.post(broker, timeout=30, **binary(event(message)))
        assert answer.status_code == 202, answer.text
    # What is submitted after them is done after them.
    deployment.completed(deployment.submit("resize", PICTURE, width=76))
    again = deployment.job(job["job_id"])
    assert (again["status"], again["attempts"], again["finished_at"]) == (
        "completed",
        job["attempts"],
        job["finished_at"],
    )


def test_an_event_that_can_never_be_handled_holds_nobody_up(deployment: Deployment, broker: str) -> None:
    answer = httpx.post(broker, timeout=30, **binary(event({"job_id": "nonsense"})))
    assert answer.status_code == 202, answer.text
    deployment.completed(deployment.submit("resize", PICTURE, width=77))
