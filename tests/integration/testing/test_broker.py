"""The fixture `broker`, used as an author of functions would use it."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import functions_framework
import httpx
import pytest
from cloudevents.http import CloudEvent as SdkEvent
from flask import Flask

from darkroom.errors import EventInvalidError
from darkroom.events.cloudevents import encode_binary, new_event
from darkroom.testing import Broker, CloudEvent, Session, wsgi
from darkroom.testing.errors import ProjectError, TestingError

SHOP = Path(__file__).parent / "shop"
PLACED = "shop.order.placed"

pytestmark = pytest.mark.darkroom(project=SHOP)


@pytest.fixture(scope="module")
def confirm_app() -> Flask:
    app: Flask = functions_framework.create_app(  # type: ignore[no-untyped-call]
        "confirm", str(SHOP / "functions" / "confirm" / "main.py")
    )
    return app


def confirmed(event: CloudEvent) -> CloudEvent:
    return new_event("shop.order.confirmed", "/shop/confirm", event.json())


# --- filters and subscribers -----------------------------------------------------------------------------------------


def test_a_trigger_receives_what_its_filter_lets_through_and_nothing_else(broker: Broker) -> None:
    placed = broker.send(PLACED, {"order": 7}, subject="7", customer="ann")
    broker.send("shop.order.cancelled", {"order": 8})

    [event] = broker.received("confirm")
    assert (event.id, event.subject, event.json()) == (placed.id, "7", {"order": 7})
    assert event.extensions["customer"] == "ann"
    assert "knativebrokerttl" not in event.extensions
    assert len(broker.received("everything", count=2)) == 2
    broker.settled()
    assert len(broker.received("confirm")) == 1
    assert broker.received("ship", count=0) == []


def test_tests_do_not_see_each_others_events(broker: Broker) -> None:
    assert broker.received("everything", count=0) == []


def test_brokers_in_use_at_the_same_time_share_nothing(broker: Broker, darkroom_session: Session) -> None:
    with darkroom_session.broker(SHOP) as other:
        other.send(PLACED, {"order": 1}, id="the-same")
        broker.send(PLACED, {"order": 2}, id="the-same")
        assert [event.json() for event in other.received("confirm")] == [{"order": 1}]
        assert [event.json() for event in broker.received("confirm")] == [{"order": 2}]
        broker.settled()
        assert len(broker.received("everything")) == 1


def test_a_reply_goes_through_the_broker_to_the_next_trigger(broker: Broker) -> None:
    broker.subscribe("confirm", confirmed)
    broker.send(PLACED, {"order": 7})

    [shipped] = broker.received("ship")
    assert (shipped.type, shipped.json()) == ("shop.order.confirmed", {"order": 7})
    assert [reply.type for reply in broker.replies("confirm")] == ["shop.order.confirmed"]
    broker.settled()


def test_a_handler_may_be_a_coroutine_and_answer_with_the_sdks_event(broker: Broker) -> None:
    async def confirm(event: CloudEvent) -> SdkEvent:
        await asyncio.sleep(0)
        return SdkEvent({"type": "shop.order.confirmed", "source": "/shop/confirm"}, {"order": 7})

    broker.subscribe("confirm", confirm)
    broker.send(PLACED, {"order": 7})
    assert broker.received("ship")[0].json() == {"order": 7}


def test_handlers_of_different_events_run_at_the_same_time(broker: Broker) -> None:
    together = threading.Barrier(2, timeout=5)
    broker.subscribe("everything", lambda event: together.wait() and None)
    broker.send("a")
    broker.send("b")
    assert len(broker.received("everything", count=2)) == 2
    assert [attempt.number for attempt in broker.attempts(trigger="everything", count=2)] == [1, 1]


def test_a_wsgi_application_is_a_subscriber(broker: Broker, confirm_app: Flask) -> None:
    broker.subscribe("confirm", wsgi(confirm_app))
    broker.send(PLACED, {"order": 7, "total": 30})
    assert broker.received("ship")[0].json() == {"order": 7}


def test_an_answer_that_is_no_event_is_a_failure_as_on_a_cluster(broker: Broker, confirm_app: Flask) -> None:
    broker.subscribe("confirm", wsgi(confirm_app))
    event = broker.send(PLACED, {"order": 7, "total": 30, "customer": "rude"})
    [letter] = broker.dead_letters("confirm")
    assert letter.id == event.id
    attempt = broker.attempts(event, "confirm")[0]
    assert attempt.outcome == "200 OK"
    assert "a body that is no CloudEvent counts as a failure" in attempt.why


def test_a_failed_assertion_in_a_handler_fails_the_tests_next_call(broker: Broker) -> None:
    def confirm(event: CloudEvent) -> None:
        assert event.json() == {"order": 8}, "which order"

    broker.subscribe("confirm", confirm)
    broker.send(PLACED, {"order": 7})
    with pytest.raises(AssertionError, match="which order"):
        broker.dead_letters("confirm")
    assert len(broker.dead_letters("confirm")) == 1, "it fails once, not at every retry"


# --- failures --------------------------------------------------------------------------------------------------------


def test_retries_and_the_dead_letter_take_no_time_and_the_backoff_is_known(broker: Broker) -> None:
    broker.subscribe("confirm", lambda event: 503)
    event = broker.send(PLACED, {"order": 7})

    [letter] = broker.dead_letters("confirm")
    assert (letter.id, letter.extensions["knativeerrorcode"]) == (event.id, "503")
    assert broker.delays(event) == [1.0, 2.0, 4.0]
    assert [attempt.status for attempt in broker.attempts(event, "confirm", count=4)] == [503] * 4
    assert [attempt.number for attempt in broker.attempts(event.id, "confirm")] == [1, 2, 3, 4]
    assert broker.received("service/recovery") == [letter]
    broker.settled()


def test_a_subscriber_that_recovers_gets_the_event_again(broker: Broker) -> None:
    answers = iter([500, ConnectionResetError("gone"), None])

    def confirm(event: CloudEvent) -> int | None:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    broker.subscribe("confirm", confirm)
    event = broker.send(PLACED, {"order": 7})
    broker.settled()
    outcomes = [attempt.outcome for attempt in broker.attempts(event, "confirm")]
    assert outcomes == ["500", "no answer: ConnectionResetError('gone')", "204"]
    assert broker.dead_letters(count=0) == []


def test_a_handler_that_is_too_slow_times_out(broker: Broker) -> None:
    released = threading.Event()
    broker.subscribe("confirm", lambda event: released.wait() and None)
    event = broker.send(PLACED, {"order": 7})
    try:
        assert broker.attempts(event, "confirm")[0].outcome == "no answer within 1.3 s"
    finally:
        broker.subscribe("confirm", lambda event: None)
        released.set()
    broker.settled()


def test_what_a_cluster_loses_is_lost_with_its_reason(broker: Broker) -> None:
    broker.subscribe("confirm", lambda event: 400)
    event = broker.send(PLACED, {"order": 7})
    [lost] = broker.lost("confirm")
    assert (lost.id, lost.outcome) == (event.id, "400")
    assert "neither retried nor dead-lettered" in lost.why
    assert broker.dead_letters(count=0) == []


def test_an_event_is_lost_when_the_dead_letter_sink_fails(broker: Broker) -> None:
    broker.subscribe("confirm", lambda event: 503)
    broker.subscribe("service/recovery", lambda event: 500)
    broker.send(PLACED, {"order": 7})
    assert "the dead-letter sink: 500" in broker.lost("confirm")[0].why
    assert broker.dead_letters(count=0) == []


def test_a_reply_that_is_no_event_fails_the_delivery_and_is_explained(broker: Broker) -> None:
    broker.subscribe("everything", lambda event: {"order": 7})
    event = broker.send("a")
    assert (
        "a handler returns None, an event or a status code, not dict" in broker.attempts(event, "everything")[0].outcome
    )


# --- the clock -------------------------------------------------------------------------------------------------------


@pytest.mark.darkroom(clock="manual")
def test_a_test_turns_the_clock_itself(broker: Broker) -> None:
    broker.subscribe("confirm", lambda event: 503)
    event = broker.send(PLACED, {"order": 7})
    seen = []
    for seconds in (0.9, 0.1, 1.9, 0.1, 3.9, 0.1):
        broker.advance(seconds)
        seen.append(len(broker.attempts(event, "confirm")))
    assert seen == [1, 2, 2, 3, 3, 4]
    assert len(broker.dead_letters("confirm")) == 1
    broker.settled()


@pytest.mark.darkroom(clock="manual")
def test_a_delivery_that_waits_for_the_clock_is_not_settled(broker: Broker) -> None:
    broker.subscribe("confirm", lambda event: 503)
    broker.send(PLACED, {"order": 7})
    with pytest.raises(AssertionError, match=r"not settled within 0\.3 s: confirm: 0 waiting, 1 unacked"):
        broker.settled(within=0.3)


@pytest.mark.darkroom(clock="real")
def test_by_the_real_clock_a_retry_waits_for_its_backoff(broker: Broker) -> None:
    answers = iter([503, None])
    broker.subscribe("confirm", lambda event: next(answers))
    event = broker.send(PLACED, {"order": 7})
    assert broker.attempts(event, "confirm")[0].status == 503
    with pytest.raises(AssertionError, match="1 of 2 within"):
        broker.attempts(event, "confirm", count=2, within=0.3)
    assert [each.status for each in broker.attempts(event, "confirm", count=2)] == [503, 204]
    assert broker.delays(event, "confirm") == [1.0]


def test_only_a_manual_clock_is_advanced(broker: Broker) -> None:
    with pytest.raises(TestingError, match='clock="manual"'):
        broker.advance(1)


# --- other ways in ---------------------------------------------------------------------------------------------------


def test_a_ping_source_fires_when_it_is_told_to(broker: Broker) -> None:
    broker.ping("nightly")
    [event] = broker.received("everything")
    assert (event.type, event.json()) == ("dev.knative.sources.ping", {"why": "night"})


def test_a_ping_source_whose_sink_is_a_service_reaches_its_handler(broker: Broker) -> None:
    got: list[str] = []
    broker.subscribe("service/recovery", lambda event: got.append(event.type))
    broker.ping("sweep")
    assert got == ["dev.knative.sources.ping"]
    assert len(broker.received("service/recovery")) == 1


def test_the_ingress_takes_events_over_http(broker: Broker) -> None:
    headers, body = encode_binary(new_event(PLACED, "/web", {"order": 7}))
    assert httpx.post(broker.url, headers=headers, content=body).status_code == 202
    assert httpx.post(broker.url, content=b"no event").status_code == 400
    assert [event.source for event in broker.received("confirm")] == ["/web"]


def test_raw_bytes_and_no_data_are_sent_as_they_are(broker: Broker) -> None:
    broker.send("raw", b"\x00\xff")
    broker.send("none")
    raw, none = broker.received("everything", count=2)
    assert (raw.data, raw.datacontenttype) == (b"\x00\xff", "application/octet-stream")
    assert (none.data, none.datacontenttype) == (None, None)


def test_an_event_that_is_no_cloudevent_is_refused_at_once(broker: Broker) -> None:
    with pytest.raises(EventInvalidError, match="lower-case letters and digits"):
        broker.send(PLACED, order_id="7")


async def _from_an_event_loop(broker: Broker) -> list[CloudEvent]:
    broker.send(PLACED, {"order": 7})
    return await asyncio.to_thread(broker.received, "confirm")


def test_an_async_test_waits_in_a_thread(broker: Broker) -> None:
    assert len(asyncio.run(_from_an_event_loop(broker))) == 1


# --- mistakes --------------------------------------------------------------------------------------------------------


def test_a_name_that_does_not_exist_is_told_with_those_that_do(broker: Broker) -> None:
    with pytest.raises(ProjectError, match='did you mean "confirm"'):
        broker.subscribe("confrim", lambda event: None)
    with pytest.raises(ProjectError, match="there is no Trigger 'service/confirm'"):
        broker.dead_letters("service/confirm")
    with pytest.raises(ProjectError, match='did you mean "nightly"'):
        broker.ping("nightyl")
    with pytest.raises(ProjectError, match="there is no Broker 'other'; there is shop/orders"):
        broker.send(PLACED, broker="other")


def test_a_wait_in_vain_says_what_was_sent_and_what_became_of_it(broker: Broker) -> None:
    broker.subscribe("everything", lambda event: 1 / 0)
    broker.send("shop.order.cancelled", id="cancelled-1")
    broker.lost("everything")
    with pytest.raises(AssertionError) as failed:
        broker.received("confirm", within=0.1)
    said = str(failed.value)
    assert "confirm received: 0 of 1 within 0.1 s" in said
    assert "sent shop.order.cancelled cancelled-1: passes the filter of everything" in said
    assert "everything: attempt 1 of shop.order.cancelled cancelled-1" in said
    assert "a handler raised ZeroDivisionError: division by zero" in said


def test_a_broker_that_has_ended_makes_room_for_another(darkroom_session: Session) -> None:
    for _ in range(40):
        with darkroom_session.broker(SHOP):
            pass
