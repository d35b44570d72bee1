"""The traces into which ingest and recovery put a job's events."""

from __future__ import annotations

from uuid import UUID

import pytest

from darkroom.events import tracing
from darkroom.events.tracing import TraceContext
from tests.spans import recorded_spans, trace_id_of
from tests.unit.functions.ingesting import Ingest
from tests.unit.functions.test_recovery import World

CALLER = tracing.new_root(sampled=True)


def job_trace(ingest: Ingest, job_id: str) -> TraceContext:
    record = ingest.jobs.get(UUID(job_id))
    assert record is not None
    context = tracing.parse(record.trace)
    assert context is not None
    return context


def event_trace(ingest: Ingest) -> TraceContext:
    context = tracing.from_attributes(ingest.emitter.events[-1].extensions)
    assert context is not None
    return context


def test_a_job_goes_on_in_its_callers_trace_with_telemetry_off(ingest: Ingest) -> None:
    headers = {"traceparent": CALLER.traceparent, "tracestate": "vendor=1"}
    job_id = ingest.resize(headers=headers).json()["job_id"]
    assert job_trace(ingest, job_id) == CALLER
    assert event_trace(ingest).attributes() == headers


@pytest.mark.parametrize("traceparent", ["", "nonsense"])
def test_a_job_without_a_callers_trace_begins_one(ingest: Ingest, traceparent: str) -> None:
    first, second = (ingest.resize(headers={"traceparent": traceparent}).json()["job_id"] for _ in range(2))
    assert job_trace(ingest, first).trace_id != job_trace(ingest, second).trace_id
    assert event_trace(ingest) == job_trace(ingest, second)


def test_an_event_that_is_posted_brings_its_trace(ingest: Ingest) -> None:
    job_id = ingest.resize().json()["job_id"]
    key = ingest.emitter.events[-1].json()["input"]["storage_key"]
    headers = {
        "ce-specversion": "1.0",
        "ce-id": "1",
        "ce-source": "/s",
        "ce-type": "dev.darkroom.resize.requested",
        "ce-traceparent": CALLER.traceparent,
        "content-type": "application/json",
    }
    body = {"parameters": {"width": 10}, "input": {"storage_key": key}}
    second = ingest.call("POST", "/", json=body, headers=headers).json()["job_id"]
    assert second != job_id
    assert job_trace(ingest, second) == CALLER


def test_the_request_is_the_span_that_the_job_remembers(ingest: Ingest) -> None:
    with recorded_spans("ingest") as recorded:
        job_id = ingest.resize(headers={"traceparent": CALLER.traceparent}).json()["job_id"]
    request = recorded.one("POST /api/v1/resize")
    assert request.context is not None
    assert job_trace(ingest, job_id).span_id == f"{request.context.span_id:016x}"
    *before, one, other, last = (span.name for span in recorded.spans)
    assert (before, {one, other}, last) == (
        ["receive", "probe", "store", "accept"],
        {"keep", "emit"},
        request.name,
    )
    assert {trace_id_of(span) for span in recorded.spans} == {CALLER.trace_id}
    assert request.attributes is not None
    assert request.attributes["http.response.status_code"] == 202
    assert request.status.is_unset


def test_what_the_caller_did_wrong_is_no_error_of_the_span_and_health_is_none(ingest: Ingest) -> None:
    with recorded_spans("ingest") as recorded:
        assert ingest.resize(fields={"width": "0"}).status_code == 400
        assert ingest.call("GET", "/health/live").status_code == 200
    assert recorded.one("POST /api/v1/resize").status.is_unset
    assert len({trace_id_of(span) for span in recorded.spans}) == 1


def test_what_recovery_emits_again_is_in_the_jobs_trace_and_linked_to_the_sweep() -> None:
    world = World()
    job_id = world.accept(trace=CALLER.traceparent)
    world.advance(3600)
    with recorded_spans("recovery") as recorded:
        world.sweep()
    again, sweep = recorded.one("emit again"), recorded.one("process dev.knative.sources.ping")
    assert trace_id_of(again) == CALLER.trace_id != trace_id_of(sweep)
    assert [f"{link.context.trace_id:032x}" for link in again.links] == [trace_id_of(sweep)]
    [event] = world.emitter.events
    assert event.subject == str(job_id)
    assert tracing.from_attributes(event.extensions) == CALLER
