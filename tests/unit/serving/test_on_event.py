"""Event functions without pictures: what they return or raise, and the response to the Broker."""

from __future__ import annotations

from typing import Any

import pytest
from cloudevents.http import CloudEvent
from structlog.testing import capture_logs

from darkroom.events import cloudevents, tracing
from darkroom.serving import on_event
from darkroom.serving.event_handler import EventHandler, Function
from darkroom.serving.testing import deliver, post
from tests.spans import recorded_spans, trace_id_of

CALLER = tracing.new_root(sampled=True)


def placed(order: Any = 7, **attributes: Any) -> CloudEvent:
    return CloudEvent({"type": "shop.order.placed", "source": "/shop", "id": "order-7", **attributes}, {"order": order})


def confirmed(**attributes: Any) -> CloudEvent:
    return CloudEvent({"type": "shop.order.confirmed", "source": "/shop/confirm", **attributes}, {"total": 30})


def handler(function: Function) -> EventHandler:
    return on_event("shop.order.placed")(function)


@on_event("shop.order.placed")
def confirm(event: CloudEvent) -> CloudEvent | None:
    """Confirms every order."""
    return CloudEvent({"type": "shop.order.confirmed", "source": "/shop/confirm"}, {"order": event.data["order"]})


def test_the_function_gets_the_sdks_event_and_its_event_is_the_reply() -> None:
    delivery = deliver(confirm, placed(subject="ünder", xext="1"))
    assert delivery.status == 200
    assert (delivery.reply["type"], delivery.reply["source"]) == ("shop.order.confirmed", "/shop/confirm")
    assert delivery.reply["id"] != "order-7"
    assert delivery.reply.data == {"order": 7}


def test_the_decorated_function_can_still_be_called_and_described() -> None:
    reply = confirm(placed(order=9))
    assert reply is not None
    assert reply.get_data() == {"order": 9}
    assert (confirm.__name__, confirm.__doc__) == ("confirm", "Confirms every order.")


def test_nothing_to_say_is_204_without_a_body() -> None:
    delivery = deliver(handler(lambda _: None), placed())
    assert (delivery.status, dict(delivery.headers), delivery.body) == (204, {}, b"")


def test_every_attribute_and_the_data_reach_the_function() -> None:
    seen: list[CloudEvent] = []
    event = placed(subject="ünder", time="2026-01-02T03:04:05Z", dataschema="https://shop.example/1", xext="a b")
    deliver(handler(lambda event: seen.append(event)), event)
    [given] = seen
    assert {**given.get_attributes()} == {**event.get_attributes(), "datacontenttype": "application/json"}
    assert given.data == {"order": 7}


def test_an_exception_is_retried_and_its_text_is_only_logged() -> None:
    def crash(event: CloudEvent) -> None:
        raise ValueError("the password is canary")

    with capture_logs() as lines:
        delivery = deliver(handler(crash), placed())
    assert delivery.status == 500
    assert b"canary" not in delivery.body
    [line] = lines
    assert (line["event"], line["log_level"]) == ("event.failed", "error")
    assert line["exc_info"]


def test_an_exit_is_not_swallowed() -> None:
    """The exception by which gunicorn ends a worker that overruns its time."""

    def overrun(event: CloudEvent) -> None:
        raise SystemExit(1)

    with pytest.raises(SystemExit):
        deliver(handler(overrun), placed())


@pytest.mark.parametrize("source", ["/shop", "/shop/confirm"])
def test_a_reply_that_reuses_the_id_is_refused_because_brokers_drop_it(source: str) -> None:
    with capture_logs() as lines:
        delivery = deliver(handler(lambda _: confirmed(id="order-7", source=source)), placed())
    assert (delivery.status, lines[-1]["event"]) == (500, "reply.refused")
    assert "'order-7'" in lines[-1]["error"]
    assert "duplicate" in lines[-1]["error"]


def test_the_event_itself_is_no_reply() -> None:
    with capture_logs() as lines:
        assert deliver(handler(lambda event: event), placed()).status == 500
    assert lines[-1]["event"] == "reply.refused"


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ({"order": 7}, "not dict"),
        ("OK", "not str"),
        (("", 204), "not tuple"),
        (confirmed(source=""), "source must not be empty"),
        (confirmed(specversion="0.3"), "specversion"),
        (CloudEvent({"type": "t", "source": "/s"}, object()), "data"),
    ],
)
def test_what_is_no_sound_event_is_no_reply(returned: Any, said: str) -> None:
    with capture_logs() as lines:
        delivery = deliver(handler(lambda _: returned), placed())
    assert (delivery.status, lines[-1]["event"]) == (500, "reply.refused")
    assert said in lines[-1]["error"]


def test_an_event_of_another_type_ends_as_a_dead_letter_that_says_why() -> None:
    """Never 4xx, which channels on JetStream drop, and never 2xx, which would end it silently."""
    called: list[CloudEvent] = []
    with capture_logs() as lines:
        delivery = deliver(handler(lambda event: called.append(event)), placed(type="shop.order.paid"))
    assert (delivery.status, called) == (500, [])
    assert delivery.body == b"this function takes shop.order.placed, not shop.order.paid"
    assert (lines[-1]["event"], lines[-1]["log_level"]) == ("event.refused", "error")


@pytest.mark.parametrize(
    ("headers", "body", "said"),
    [
        ({"content-type": "application/json"}, b"{}", "not a CloudEvent"),
        ({"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s"}, b"", "type is required"),
        ({"content-type": "application/cloudevents-batch+json"}, b"[]", "batch"),
        (
            {
                "ce-specversion": "1.0",
                "ce-id": "1",
                "ce-source": "/s",
                "ce-type": "shop.order.placed",
                "content-type": "application/json",
            },
            b"{",
            "not JSON",
        ),
    ],
)
def test_what_is_no_event_ends_as_a_dead_letter_that_says_why(headers: dict[str, str], body: bytes, said: str) -> None:
    delivery = post(confirm, headers, body)
    assert delivery.status == 500
    assert said in delivery.body.decode()


def test_a_function_may_take_several_types() -> None:
    @on_event("shop.order.placed", "shop.order.changed")
    def note(event: CloudEvent) -> CloudEvent | None:
        return confirmed(subject=event["type"])

    for type in ("shop.order.placed", "shop.order.changed"):
        assert deliver(note, placed(type=type)).reply["subject"] == type
    assert deliver(note, placed(type="shop.order.paid")).status == 500


def test_structured_events_are_taken_too() -> None:
    event = cloudevents.new_event("shop.order.placed", "/shop", {"order": 7})
    headers, body = cloudevents.encode_structured(event)
    assert post(confirm, headers, body).reply.data == {"order": 7}


def test_a_binary_payload_arrives_and_leaves_byte_for_byte() -> None:
    @on_event("picture.taken")
    def develop(event: CloudEvent) -> CloudEvent | None:
        return CloudEvent({"type": "picture.seen", "source": "/x", "datacontenttype": "image/png"}, event.data[::-1])

    taken = CloudEvent({"type": "picture.taken", "source": "/x", "datacontenttype": "image/png"}, b"\x00\xff\n")
    assert deliver(develop, taken).reply.data == b"\n\xff\x00"


def test_the_reply_goes_on_in_the_trace_of_the_event() -> None:
    with recorded_spans("confirm") as recorded:
        delivery = deliver(confirm, placed(traceparent=CALLER.traceparent))
    process = recorded.one("process shop.order.placed")
    assert trace_id_of(process) == CALLER.trace_id
    context = tracing.from_attributes(delivery.reply.get_attributes())
    assert context is not None
    assert process.context is not None
    assert (context.trace_id, context.span_id) == (CALLER.trace_id, f"{process.context.span_id:016x}")


def test_a_reply_is_left_alone_where_nobody_traces_or_its_author_does() -> None:
    assert "traceparent" not in deliver(confirm, placed()).reply
    own = tracing.new_root().traceparent
    delivery = deliver(handler(lambda _: confirmed(traceparent=own)), placed(traceparent=CALLER.traceparent))
    assert delivery.reply["traceparent"] == own


def test_a_failed_event_is_a_failed_span() -> None:
    with recorded_spans("confirm") as recorded:
        deliver(handler(lambda _: "OK"), placed())  # type: ignore[arg-type, return-value]
    assert not recorded.one("process shop.order.placed").status.is_ok


def test_the_lines_that_an_author_logs_bear_the_event() -> None:
    import structlog

    seen: list[dict[str, Any]] = []

    def note(event: CloudEvent) -> None:
        seen.append(structlog.contextvars.get_contextvars())

    deliver(handler(note), placed())
    assert seen[0] == {"event_id": "order-7", "event_type": "shop.order.placed", "event_source": "/shop"}


def test_what_cannot_be_decorated_is_refused_at_once() -> None:
    async def later(event: CloudEvent) -> None:
        raise AssertionError

    with pytest.raises(TypeError, match="later must be a plain function"):
        on_event("shop.order.placed")(later)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="takes types of events"):
        on_event(lambda event: None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="takes types of events"):
        on_event("")


def test_the_name_leads_to_the_decorator_whatever_was_imported_before() -> None:
    import darkroom.serving.event_handler

    assert darkroom.serving.on_event is darkroom.serving.event_handler.on_event
