"""The runtime's own spans."""

from __future__ import annotations

from darkroom.events import tracing
from darkroom.events.cloudevents import CloudEvent, new_event
from darkroom.local import spans
from tests.spans import recorded_spans, trace_id_of

JOB = tracing.new_root(sampled=True)


def event(**extensions: str) -> CloudEvent:
    return new_event("t", "/s", {}, extensions=extensions)


def test_functions_inherit_the_telemetry_settings_but_keep_their_own_names() -> None:
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SERVICE_NAME": "mine", "HOME": "/root"}
    assert spans.variables_for_functions(environment) == {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}


def test_the_ingress_goes_on_from_the_request_and_a_delivery_from_the_event() -> None:
    sender = JOB.child()
    with recorded_spans() as recorded:
        with spans.publish_span(event(**JOB.attributes()), sender.attributes(), "darkroom"):
            pass
        with spans.delivery_span(event(**JOB.attributes()), "resize", "darkroom"):
            sent = tracing.current()
    taking, delivering = recorded.one("publish darkroom"), recorded.one("deliver resize")
    assert taking.parent is not None
    assert delivering.parent is not None
    assert f"{taking.parent.span_id:016x}" == sender.span_id
    assert f"{delivering.parent.span_id:016x}" == JOB.span_id
    assert delivering.context is not None
    assert sent is not None
    assert sent.span_id == f"{delivering.context.span_id:016x}", "the function's request continues this span"
    assert {trace_id_of(span) for span in recorded.spans} == {JOB.trace_id}


def test_an_event_of_no_trace_begins_none() -> None:
    with recorded_spans() as recorded:
        with spans.publish_span(event(), {}, "darkroom"), spans.delivery_span(event(), "recovery", "darkroom"):
            assert tracing.current() is None
        with spans.instance_wait_span("recovery"):
            pass
    assert recorded.spans == []


def test_off_a_delivery_hands_the_events_trace_on() -> None:
    with spans.delivery_span(event(**JOB.attributes()), "resize", "darkroom"):
        assert tracing.current() == JOB
