"""The main job on the running stack, as a client sees it, and the problem documents of what goes wrong."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from darkroom.contract.limits import Limits
from darkroom.imaging import probe
from tests.stack import RunningStack, eventually


def test_a_posted_picture_becomes_a_signed_result_of_the_asked_size(stack: RunningStack, photograph: bytes) -> None:
    job = stack.completed(stack.submit("resize", photograph, width=400, height=400, fit="cover", format="png"))
    facts = probe(stack.download(job), Limits())
    assert (facts.width, facts.height, facts.content_type) == (400, 400, "image/png")
    result = job["result"]
    assert (result["width"], result["height"], result["content_type"]) == (400, 400, "image/png")
    assert result["storage_key"] == f"processed/{job['job_id']}.png"
    assert set(job["timings_ms"]) == {"queued", "fetch", "render", "store"}
    assert job["attempts"] == 1


def test_a_crop_has_the_asked_area(stack: RunningStack, photograph: bytes) -> None:
    job = stack.completed(stack.submit("crop", photograph, x=100, y=50, width=300, height=200, quality=90))
    facts = probe(stack.download(job), Limits())
    assert (facts.width, facts.height, facts.content_type) == (300, 200, "image/jpeg")


def test_a_signed_url_is_good_for_its_own_key_only(stack: RunningStack, photograph: bytes) -> None:
    job = stack.completed(stack.submit("resize", photograph, width=100))
    url = job["result"]["url"]
    assert httpx.get(url.replace("processed/", "uploads/")).status_code == 403
    assert httpx.get(url.partition("?")[0]).status_code == 403
    assert httpx.put(url, content=b"x").status_code == 403
    assert httpx.get(url).headers["content-disposition"].startswith("attachment")


def test_waiting_answers_when_the_job_ends(stack: RunningStack, photograph: bytes) -> None:
    job_id = stack.submit("resize", photograph, width=120)
    assert stack.job(job_id, wait_s=30)["status"] == "completed"


def test_functions_go_to_zero_when_idle_and_say_so(stack: RunningStack, photograph: bytes) -> None:
    stack.completed(stack.submit("resize", photograph, width=50))
    assert stack.function("resize")["ready"] >= 1
    eventually(
        lambda: all(stack.function(name)["ready"] == 0 for name in ("resize", "crop")),
        within_s=60,
        what="resize and crop at zero",
    )


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["code"] == code
    assert document["status"] == status
    assert document["detail"]
    assert document["request_id"]
    return document


def test_what_is_no_picture_is_refused(stack: RunningStack) -> None:
    problem(stack.post("resize", b"not a picture", width=10), 415, "input.unsupported")


def test_a_missing_parameter_is_refused(stack: RunningStack, photograph: bytes) -> None:
    document = problem(stack.post("resize", photograph), 400, "parameters.invalid")
    assert document["errors"]


def test_an_unknown_field_is_refused(stack: RunningStack, photograph: bytes) -> None:
    document = problem(stack.post("resize", photograph, width=10, colour="red"), 400, "parameters.invalid")
    assert document["errors"][0]["field"] == "colour"


@pytest.mark.parametrize("job_id", ["3fa85f64-5717-4562-b3fc-2c963f66afa6", "nonsense", "%00"])
def test_a_wrong_id_is_not_found(stack: RunningStack, job_id: str) -> None:
    problem(httpx.get(f"{stack.addresses['api']}/api/v1/jobs/{job_id}"), 404, "job.not_found")


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(stack: RunningStack) -> None:
    """Only the head is sent, with a length one byte over the limit."""
    limit = Limits().max_input_bytes
    status, headers, body = _send_head_only(stack, content_length=limit + 1)
    assert status == 413
    assert headers["content-type"] == "application/problem+json"
    document = json.loads(body)
    assert document["code"] == "input.too_large"
    assert str(limit) in document["detail"]
    assert str(limit + 1) in document["detail"]


def _send_head_only(stack: RunningStack, *, content_length: int) -> tuple[int, dict[str, str], bytes]:
    address = urlsplit(stack.addresses["api"])
    head = (
        f"POST /api/v1/resize?width=10 HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: image/jpeg\r\n"
        f"Content-Length: {content_length}\r\nConnection: close\r\n\r\n"
    )
    assert address.port is not None
    with socket.create_connection(("127.0.0.1", address.port), timeout=20) as connection:
        connection.sendall(head.encode())
        # Not until the connection ends: the gateway keeps it open for a while, to read what may still come of the body.
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, {name.lower(): value.lower() for name, value in answer.getheaders()}, answer.read()
