"""What is no Exception, such as a panic in a library written in Rust, is handled like any other fault."""

from __future__ import annotations

import asyncio
import json

import pytest

from darkroom.errors import must_pass
from darkroom.events.cloudevents import CloudEvent, encode_binary, new_event
from darkroom.imaging.photograph import make_photograph
from darkroom.serving import on_event
from darkroom.serving.event_endpoint import EventEndpoint
from darkroom.serving.testing import HttpClient, MemoryPipeline, post
from functions.ingest.app import build
from functions.resize.main import resize


class PanicError(BaseException):
    """As PyO3's PanicException, which cannot be made here."""


def panic(*_arguments: object, **_more: object) -> None:
    raise PanicError("called `Result::unwrap()` on an `Err` value")


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
def test_what_ends_a_process_or_a_task_passes(kind: type[BaseException]) -> None:
    assert must_pass(kind())
    assert not must_pass(PanicError())
    assert not must_pass(ValueError())


def test_a_request_whose_handler_panics_is_answered_with_a_problem_document() -> None:
    pipeline = MemoryPipeline("ingest")
    pipeline.storage.sign_upload = panic  # type: ignore[method-assign, assignment]
    answer = HttpClient(build(pipeline.resources)).post("/api/v1/uploads")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "unwrap" not in answer.text


def test_readiness_names_the_dependency_whose_check_panics() -> None:
    pipeline = MemoryPipeline("ingest")
    pipeline.storage.check = panic  # type: ignore[method-assign]
    answer = HttpClient(build(pipeline.resources)).get("/health/ready")
    assert (answer.status_code, answer.json()["code"]) == (503, "dependency.unavailable")
    assert answer.json()["dependency"] == "storage"


def test_an_attempt_that_panics_is_given_back_and_counts() -> None:
    pipeline = MemoryPipeline("resize")
    job_id = pipeline.accept(picture=make_photograph(64, 48))
    pipeline.storage.get = panic  # type: ignore[method-assign, assignment]
    delivery = pipeline.deliver(resize, job_id)
    assert delivery.status == 503
    record = pipeline.record(job_id)
    assert (record.status, record.attempts) == ("queued", 1)


def test_an_endpoint_and_a_function_that_panic_answer_500() -> None:
    event = new_event("shop.order.placed", "/shop", {"order": 1})
    headers, body = encode_binary(event)

    def handle(_event: CloudEvent) -> None:
        panic()

    endpoint = EventEndpoint("endpoint", handle, unreadable=panic)  # type: ignore[arg-type]
    assert post(endpoint, headers, body).status == 500

    @on_event("shop.order.placed")
    def function(_event: object) -> None:
        panic()

    answer = post(function, headers, body)
    assert answer.status == 500
    assert b"PanicError" in answer.body
    assert json.loads(body) == {"order": 1}
