"""ingest with fakes for the outside systems: what is accepted, what is refused, and what is left behind."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import httpx
import pytest
from structlog.testing import capture_logs

from darkroom.adapters.jobs import Accepted, NewJob
from darkroom.contract.errors import DependencyUnavailableError
from tests.unit.functions.ingesting import MAX_INPUT_BYTES, PICTURE, Ingest


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert (document["code"], document["status"]) == (code, status)
    assert document["request_id"] == answer.headers["x-request-id"]
    assert document["detail"]
    return document


def test_a_form_becomes_a_job_with_its_picture_stored_and_its_event_emitted(ingest: Ingest) -> None:
    answer = ingest.resize()
    assert answer.status_code == 202
    assert answer.json()["status"] == "queued"
    job_id = answer.json()["job_id"]
    assert answer.headers["location"] == f"/api/v1/jobs/{job_id}"
    assert ingest.storage.get(f"uploads/{job_id}/original.jpg", max_bytes=MAX_INPUT_BYTES) == PICTURE
    [event] = ingest.emitter.events
    assert (event.type, event.subject) == ("dev.darkroom.resize.requested", job_id)
    assert event.json()["parameters"] == {"width": 32}


def test_raw_bytes_take_their_parameters_from_the_query(ingest: Ingest) -> None:
    answer = ingest.call(
        "POST",
        "/api/v1/crop",
        content=PICTURE,
        params={"x": 1, "y": 2, "width": 10, "height": 10},
        headers={"content-type": "image/jpeg"},
    )
    assert answer.status_code == 202
    assert ingest.emitter.events[0].json()["parameters"] == {"x": 1, "y": 2, "width": 10, "height": 10}


def test_json_names_a_picture_that_is_in_storage(ingest: Ingest) -> None:
    ingest.storage.put("uploads/mine/original", PICTURE, content_type="image/jpeg")
    body = {"parameters": {"width": 32}, "input": {"storage_key": "uploads/mine/original"}}
    answer = ingest.call("POST", "/api/v1/resize", json=body)
    assert answer.status_code == 202
    assert ingest.emitter.events[0].json()["input"] == {"storage_key": "uploads/mine/original"}


def test_a_picture_that_is_not_in_storage_is_reported(ingest: Ingest) -> None:
    body = {"parameters": {"width": 32}, "input": {"storage_key": "uploads/none/original"}}
    assert_problem(ingest.call("POST", "/api/v1/resize", json=body), 404, "input.not_found")


@pytest.mark.parametrize("key", ["../secret", "/etc/passwd", "a//b", "a/../b", "a\nb", ""])
def test_storage_keys_cannot_climb(ingest: Ingest, key: str) -> None:
    body = {"parameters": {"width": 32}, "input": {"storage_key": key}}
    assert_problem(ingest.call("POST", "/api/v1/resize", json=body), 400, "parameters.invalid")


def _event(**changes: Any) -> dict[str, Any]:
    data = {"parameters": {"width": 32}, "input": {"storage_key": "uploads/mine/original"}}
    return {
        "specversion": "1.0",
        "id": "1",
        "source": "/shop",
        "type": "dev.darkroom.resize.requested",
        "data": data,
    } | changes


def send_event(ingest: Ingest, event: Any, *, mode: str = "cloudevents") -> httpx.Response:
    ingest.storage.put("uploads/mine/original", PICTURE, content_type="image/jpeg")
    headers = {"content-type": f"application/{mode}+json"}
    return ingest.call("POST", "/", content=json.dumps(event), headers=headers)


def test_the_same_event_sent_twice_is_one_job(ingest: Ingest) -> None:
    first, second = send_event(ingest, _event()), send_event(ingest, _event())
    assert first.status_code == second.status_code == 202
    assert first.json() == second.json()
    assert len(ingest.emitter.events) == 1


def test_an_event_from_another_source_with_the_same_id_is_another_job(ingest: Ingest) -> None:
    first, second = send_event(ingest, _event()), send_event(ingest, _event(source="/other"))
    assert first.json()["job_id"] != second.json()["job_id"]


def test_a_batch_is_taken_as_a_whole(ingest: Ingest) -> None:
    answer = send_event(ingest, [_event(), _event(id="2")], mode="cloudevents-batch")
    assert answer.status_code == 202
    assert len(answer.json()["jobs"]) == 2


def test_a_batch_with_one_bad_event_leaves_nothing(ingest: Ingest) -> None:
    answer = send_event(ingest, [_event(), _event(id="2", type="unknown")], mode="cloudevents-batch")
    document = assert_problem(answer, 400, "event.invalid")
    assert [verdict["verdict"] for verdict in document["events"]] == ["sound", "refused"]
    assert not ingest.emitter.events


def test_each_event_of_a_refused_batch_has_its_verdict(ingest: Ingest) -> None:
    none_there = {"parameters": {"width": 1}, "input": {"storage_key": "uploads/none/original"}}
    no_width: dict[str, Any] = {"parameters": {}, "input": {"storage_key": "uploads/mine/original"}}
    batch = [_event(id=""), _event(), _event(id="2", data=no_width), 7, _event(id="3", data=none_there)]
    document = assert_problem(send_event(ingest, batch, mode="cloudevents-batch"), 400, "event.invalid")
    codes = [verdict.get("code") for verdict in document["events"]]
    assert codes == ["event.invalid", None, "parameters.invalid", "event.invalid", "input.not_found"]
    assert document["detail"].startswith("event 0 of 5: id must not be empty")
    assert document["events"][0]["detail"].startswith("id must not be empty")
    assert not ingest.emitter.events


def test_a_batch_whose_pictures_are_missing_is_refused_with_that_reason(ingest: Ingest) -> None:
    none_there = {"parameters": {"width": 1}, "input": {"storage_key": "uploads/none/original"}}
    batch = [_event(), _event(id="3", data=none_there)]
    document = assert_problem(send_event(ingest, batch, mode="cloudevents-batch"), 404, "input.not_found")
    assert [verdict["verdict"] for verdict in document["events"]] == ["sound", "refused"]


def test_a_batch_with_wrong_parameters_names_them_for_each_event(ingest: Ingest) -> None:
    wrong = {"parameters": {"width": 0, "colour": 1}, "input": {"storage_key": "uploads/mine/original"}}
    answer = send_event(ingest, [_event(), _event(id="2", data=wrong)], mode="cloudevents-batch")
    document = assert_problem(answer, 400, "parameters.invalid")
    assert {error["field"] for error in document["events"][1]["errors"]} == {"width", "colour"}


def test_a_batch_that_the_job_store_does_not_take_leaves_nothing_and_can_be_sent_again(ingest: Ingest) -> None:
    def refuse(jobs: Sequence[NewJob]) -> list[Accepted]:
        raise DependencyUnavailableError("jobs", "connection refused")

    batch = [_event(id=str(number)) for number in range(3)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingest.jobs, "accept_many", refuse)
        assert_problem(send_event(ingest, batch, mode="cloudevents-batch"), 503, "dependency.unavailable")
    assert not any(ingest.jobs.backlog().by_status.values())
    again = send_event(ingest, batch, mode="cloudevents-batch")
    assert again.status_code == 202
    assert len({job["job_id"] for job in again.json()["jobs"]}) == 3
    assert len(ingest.emitter.events) == 3


def test_a_batch_with_an_event_that_was_used_for_something_else_leaves_nothing(ingest: Ingest) -> None:
    assert send_event(ingest, _event(id="2")).status_code == 202
    other = {"parameters": {"width": 31}, "input": {"storage_key": "uploads/mine/original"}}
    batch = [_event(), _event(id="2", data=other), _event(id="3")]
    document = assert_problem(send_event(ingest, batch, mode="cloudevents-batch"), 422, "idempotency.mismatch")
    assert [verdict["verdict"] for verdict in document["events"]] == ["sound", "refused", "sound"]
    assert "nothing of the batch was accepted" in document["detail"]
    assert len(ingest.emitter.events) == 1


def test_a_batch_of_too_many_events_is_refused(ingest: Ingest) -> None:
    batch = [_event(id=str(number)) for number in range(101)]
    document = assert_problem(send_event(ingest, batch, mode="cloudevents-batch"), 400, "event.invalid")
    assert "101" in document["detail"]
    assert not ingest.emitter.events


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"type": "com.example.other"}, "event.invalid"),
        ({"data": {}}, "event.invalid"),
        (
            {"data": {"parameters": {"width": 0}, "input": {"storage_key": "uploads/mine/original"}}},
            "parameters.invalid",
        ),
        ({"id": ""}, "event.invalid"),
        ({"data": "text"}, "event.invalid"),
    ],
)
def test_events_that_ask_for_nothing_we_do_are_refused(ingest: Ingest, changes: dict[str, Any], code: str) -> None:
    assert_problem(send_event(ingest, _event(**changes)), 400, code)


def test_a_binary_event_without_a_content_type_holds_json(ingest: Ingest) -> None:
    ingest.storage.put("uploads/mine/original", PICTURE, content_type="image/jpeg")
    event = _event()
    headers = {f"ce-{name}": event[name] for name in ("specversion", "id", "source", "type")}
    answer = ingest.call("POST", "/", content=json.dumps(event["data"]), headers=headers)
    assert answer.status_code == 202, answer.text


def test_what_is_no_event_is_refused(ingest: Ingest) -> None:
    assert_problem(ingest.call("POST", "/", content=b"hello"), 400, "event.invalid")


def test_what_is_no_picture_is_refused_by_its_bytes(ingest: Ingest) -> None:
    assert_problem(ingest.resize(picture=b"GIF? no"), 415, "input.unsupported")
    assert ingest.is_untouched()


def test_a_missing_parameter_is_named(ingest: Ingest) -> None:
    document = assert_problem(ingest.resize(fields={}), 400, "parameters.invalid")
    assert document["errors"][0]["message"] == "width or height is required"


def test_an_unknown_field_is_named(ingest: Ingest) -> None:
    document = assert_problem(ingest.resize(fields={"width": "1", "colour": "red"}), 400, "parameters.invalid")
    assert document["errors"] == [{"field": "colour", "message": "unknown field", "value": "red"}]


def test_a_declared_length_beyond_the_limit_is_refused(ingest: Ingest) -> None:
    answer = ingest.call(
        "POST",
        "/api/v1/resize?width=1",
        content=b"\xff" * (MAX_INPUT_BYTES + 1),
        headers={"content-type": "image/jpeg"},
    )
    document = assert_problem(answer, 413, "input.too_large")
    assert str(MAX_INPUT_BYTES) in document["detail"]


def test_a_chunked_body_beyond_the_limit_is_refused_while_it_streams(ingest: Ingest) -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 10_000
            yield b"\xff" * 10_000

    answer = ingest.call("POST", "/api/v1/resize?width=1", content=chunks(), headers={"content-type": "image/jpeg"})
    assert_problem(answer, 413, "input.too_large")
    assert sent < MAX_INPUT_BYTES + 30_000
    assert ingest.is_untouched()


def test_a_picture_in_a_form_beyond_the_limit_is_refused(ingest: Ingest) -> None:
    assert_problem(ingest.resize(picture=b"\xff" * (MAX_INPUT_BYTES + 1)), 413, "input.too_large")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--x\r\n",
        b"nonsense",
        b'--x\r\nContent-Disposition: form-data; name="image"\r\n\r\nhalf',
        b"--x\r\nContent-Disposition: form-data\r\n\r\nnameless\r\n--x--\r\n",
        b'--x\r\nContent-Disposition: form-data; name="width"\r\n\r\n1\r\n--x--\r\n',
    ],
)
def test_a_broken_form_is_refused(ingest: Ingest, body: bytes) -> None:
    headers = {"content-type": "multipart/form-data; boundary=x"}
    assert_problem(ingest.call("POST", "/api/v1/resize", content=body, headers=headers), 400, "parameters.invalid")
    assert ingest.is_untouched()


def test_a_form_of_ten_thousand_fields_is_refused(ingest: Ingest) -> None:
    fields = {f"f{number}": "1" for number in range(10_000)}
    answer = ingest.call("POST", "/api/v1/resize", data=fields, files={"image": ("a", PICTURE)})
    assert answer.status_code in {400, 413}


def test_a_field_given_twice_is_refused(ingest: Ingest) -> None:
    answer = ingest.call(
        "POST", "/api/v1/resize?width=1&width=2", content=PICTURE, headers={"content-type": "image/jpeg"}
    )
    assert_problem(answer, 400, "parameters.invalid")


def test_a_repeated_post_with_its_key_is_answered_with_the_first_job(ingest: Ingest) -> None:
    key = {"idempotency-key": "order-7"}
    first, second = ingest.resize(headers=key), ingest.resize(headers=key)
    assert first.json() == second.json()
    assert len(ingest.originals) == 1, "the second upload is not left behind"


def test_the_same_key_with_another_request_is_refused(ingest: Ingest) -> None:
    key = {"idempotency-key": "order-7"}
    ingest.resize(headers=key)
    assert_problem(ingest.resize(fields={"width": "33"}, headers=key), 422, "idempotency.mismatch")
    assert len(ingest.originals) == 1


def test_a_crop_outside_the_picture_is_refused_by_its_header(ingest: Ingest) -> None:
    fields = {"x": "60", "y": "0", "width": "10", "height": "10"}
    answer = ingest.call("POST", "/api/v1/crop", files={"image": ("a", PICTURE)}, data=fields)
    assert_problem(answer, 422, "crop.out_of_bounds")


def test_a_broker_that_is_down_only_delays_the_job(ingest: Ingest) -> None:
    ingest.emitter.is_down = True
    answer = ingest.resize()
    assert answer.status_code == 202
    assert ingest.jobs.get(UUID(answer.json()["job_id"])) is not None


def test_storage_that_is_down_means_nothing_was_accepted(ingest: Ingest) -> None:
    ingest.storage.is_down = True
    answer = ingest.resize()
    assert_problem(answer, 503, "dependency.unavailable")
    assert int(answer.headers["retry-after"]) > 0
    ingest.storage.is_down = False
    assert ingest.is_untouched()


def test_a_job_store_that_is_down_means_nothing_was_accepted(ingest: Ingest) -> None:
    def refuse(job: NewJob) -> Accepted:
        raise DependencyUnavailableError("jobs", "connection refused")

    ingest.jobs.accept = refuse  # type: ignore[method-assign]
    assert_problem(ingest.resize(), 503, "dependency.unavailable")


def test_the_callers_request_id_is_answered_and_carried_in_the_event(ingest: Ingest) -> None:
    answer = ingest.resize(headers={"x-request-id": "abc-123"})
    assert answer.headers["x-request-id"] == "abc-123"
    assert ingest.emitter.events[0].extensions["requestid"] == "abc-123"


def test_a_request_id_that_could_forge_a_log_line_is_replaced(ingest: Ingest) -> None:
    answer = ingest.resize(headers={"x-request-id": "a b\tc"})
    assert answer.headers["x-request-id"] != "a b\tc"


def test_paths_and_methods_that_are_not_served_are_problems_too(ingest: Ingest) -> None:
    assert_problem(ingest.call("POST", "/api/v1/rotate"), 404, "route.not_found")
    answer = ingest.call("GET", "/api/v1/resize")
    assert_problem(answer, 405, "method.not_allowed")
    assert answer.headers["allow"] == "POST"


def test_a_signed_upload_names_its_key_method_and_expiry(ingest: Ingest) -> None:
    answer = ingest.call("POST", "/api/v1/uploads")
    assert answer.status_code == 201
    document = answer.json()
    assert document["storage_key"].startswith("uploads/")
    assert document["upload"]["method"] == "PUT"
    assert document["upload"]["expires_at"].endswith("Z")


def test_a_signed_upload_can_be_of_a_declared_size(ingest: Ingest) -> None:
    answer = ingest.call("POST", "/api/v1/uploads", json={"bytes": MAX_INPUT_BYTES})
    assert answer.json()["upload"]["headers"] == {
        "Content-Type": "application/octet-stream",
        "If-None-Match": "*",
        "Content-Length": str(MAX_INPUT_BYTES),
    }


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"bytes": 100001}', 413, "input.too_large"),
        (b'{"bytes": 0}', 400, "parameters.invalid"),
        (b'{"bytes": "5"}', 400, "parameters.invalid"),
        (b'{"bytes": 1, "bytes": 2}', 400, "parameters.invalid"),
        (b'{"size": 5}', 400, "parameters.invalid"),
        (b"[]", 400, "parameters.invalid"),
        (b"{", 400, "parameters.invalid"),
    ],
)
def test_a_size_that_cannot_be_uploaded_is_refused(ingest: Ingest, body: bytes, status: int, code: str) -> None:
    assert_problem(ingest.call("POST", "/api/v1/uploads", content=body), status, code)


def test_a_stored_picture_beyond_the_limit_is_refused(ingest: Ingest) -> None:
    ingest.storage.put("uploads/large/original", bytes(MAX_INPUT_BYTES + 1), content_type="image/jpeg")
    body = {"parameters": {"width": 32}, "input": {"storage_key": "uploads/large/original"}}
    document = assert_problem(ingest.call("POST", "/api/v1/resize", json=body), 413, "input.too_large")
    assert str(MAX_INPUT_BYTES + 1) in document["detail"]
    assert str(MAX_INPUT_BYTES) in document["detail"]


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/health/startup"])
def test_a_probe_leaves_no_line_in_the_log(ingest: Ingest, path: str) -> None:
    with capture_logs() as lines:
        ingest.call("GET", path)
        ingest.call("GET", "/openapi.json")

    assert [line["path"] for line in lines if line["log_level"] != "debug"] == ["/openapi.json"]


def test_health_names_what_is_missing(ingest: Ingest) -> None:
    assert ingest.call("GET", "/health/live").status_code == 200
    assert ingest.call("GET", "/health/ready").status_code == 200
    ingest.storage.is_down = True
    document = assert_problem(ingest.call("GET", "/health/ready"), 503, "dependency.unavailable")
    assert document["dependency"] == "storage"
