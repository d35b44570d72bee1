"""The record's entries, and an event's whole way put together from them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import pytest

from darkroom.events import tracing
from darkroom.events.cloudevents import CloudEvent, json_object
from darkroom.local.eventing.delivery import Action
from darkroom.local.eventing.doors import Cause, Door
from darkroom.local.eventing.record.entries import (
    Accepted,
    AnyEntry,
    Attempted,
    DeadLettered,
    Lost,
    Missed,
    Refused,
    TriggersKnown,
    decode,
    encode,
    has_id,
    without_data,
)
from darkroom.local.eventing.record.journeys import Related, journeys
from darkroom.local.eventing.record.reader import Batch, Sets

BROKER = "shop/orders"
ORDER = CloudEvent(id="order-1", source="/shop", type="shop.order.placed", data=b'{"order":7}')
TRIGGERS = TriggersKnown(
    number=1,
    at=0.0,
    digest="d1",
    triggers=[
        {
            "trigger": "shop/confirm",
            "label": "confirm",
            "broker": BROKER,
            "subscriber": "http://confirm",
            "filters": [{"exact": {"type": "shop.order.placed"}}],
        },
        {
            "trigger": "shop/refunds",
            "label": "refunds",
            "broker": BROKER,
            "subscriber": "http://refunds",
            "filters": [{"prefix": {"type": "shop.refund"}}],
        },
        {"trigger": "other/all", "label": "all", "broker": "other/broker", "subscriber": "http://all"},
    ],
)


def accepted(event: CloudEvent, number: int, **more: Any) -> Accepted:
    fields: dict[str, Any] = {"broker": BROKER, "sequence": number, "at": float(number), **more}
    return Accepted(number=number, payload=json.dumps(json_object(event), separators=(",", ":")).encode(), **fields)


def attempted(event: CloudEvent, number: int, sequence: int, action: Action, **more: Any) -> Attempted:
    fields: dict[str, Any] = {"trigger": "shop/confirm", "attempt": 1, "lasted_s": 0.5, "outcome": "204", **more}
    return Attempted(
        number=number,
        at=fields.pop("at", float(number)),
        broker=BROKER,
        id=event.id,
        source=event.source,
        type=event.type,
        sequence=sequence,
        action=action.value,
        **fields,
    )


def cause(event: CloudEvent, sequence: int, trigger: str = "shop/confirm") -> Cause:
    return Cause(broker=BROKER, trigger=trigger, id=event.id, source=event.source, sequence=sequence)


def journey(id: str, *batches: Sequence[AnyEntry]) -> list[dict[str, Any]]:
    related, sets = Related(id), dict[str, TriggersKnown]()
    for entries in batches:
        related.search(Batch(digest="d1", data=b"\n".join(map(encode, entries))), sets)
    return journeys(related, id, sets)


# --- entries ---------------------------------------------------------------------------------------------------------

DELIVERY: dict[str, Any] = {
    "broker": BROKER,
    "trigger": "shop/a",
    "id": "ä\n\t",
    "source": "/s",
    "type": "t",
    "sequence": 0,
}


@pytest.mark.parametrize(
    "entry",
    [
        accepted(ORDER, 3),
        accepted(ORDER, 3, door=Door.REPLY.value, cause=cause(ORDER, 2), is_duplicate=True, data_left_out_bytes=9),
        Refused(number=1, at=1.5, broker=BROKER, error="no ce-id", id="1", type="t"),
        Attempted(
            number=1,
            at=1.5,
            attempt=1,
            lasted_s=0.0,
            action="ack",
            outcome="204",
            status=204,
            next_in_s=0.0,
            **DELIVERY,
        ),
        DeadLettered(number=1, at=1.5, sink="http://x", outcome="204", **DELIVERY),
        Lost(number=1, at=1.5, why="no sink", **DELIVERY),
        Missed(number=1, at=1.5, count=3),
        TRIGGERS,
    ],
    ids=lambda entry: entry.kind,
)
def test_each_entry_is_one_line_from_which_it_is_read_again(entry: AnyEntry) -> None:
    line = encode(entry)
    assert b"\n" not in line
    assert decode(line) == entry


@pytest.mark.parametrize("kind", [Accepted, Attempted, Refused, DeadLettered, Lost, Missed, TriggersKnown])
def test_every_field_is_in_the_line_that_an_entry_is_read_from(kind: type[AnyEntry]) -> None:
    of_type: dict[str, Any] = {
        "int": 7,
        "float": 1.25,
        "str": 'ä"\n',
        "bool": True,
        "bytes": b"{}",
        "Cause": cause(ORDER, 2),
    }
    values: dict[str, Any] = {
        field.name: of_type.get(str(field.type).removesuffix(" | None"), []) for field in fields(kind)
    }
    assert decode(encode(kind(**values))) == kind(**values)


def test_an_event_is_kept_as_the_stream_has_it() -> None:
    entry = accepted(replace(ORDER, data=b'{ "a": 1.50 }', datacontenttype="text/plain"), 3)
    read = decode(encode(entry))
    assert isinstance(read, Accepted)
    assert read.payload == entry.payload
    assert read.event.data == b'{ "a": 1.50 }'


def test_a_line_of_another_version_is_passed_over() -> None:
    for line in (b"", b"[]", b"{}", b'{"kind":"dreamt","number":1}', b'{"kind":"missed"}', b"\xff", b'{"kind":[]}'):
        assert decode(line) is None
    later = encode(Missed(number=1, at=1.0, count=2)).replace(b'"count"', b'"colour":"red","count"')
    assert decode(later) == Missed(number=1, at=1.0, count=2)


@pytest.mark.parametrize("id", ["a-1", 'quo"te', "ä€", "back\\slash"])
def test_what_is_searched_for_is_in_every_line_about_the_event(id: str) -> None:
    event = replace(ORDER, id=id)
    for entry in (accepted(event, 1), attempted(event, 2, 1, Action.ACK), accepted(ORDER, 3, cause=cause(event, 1))):
        assert has_id(id) in encode(entry)


def test_an_event_without_its_data_is_still_an_event() -> None:
    assert decode(encode(replace(accepted(ORDER, 1), payload=without_data(accepted(ORDER, 1).payload)))) is not None
    assert json.loads(without_data(accepted(ORDER, 1).payload)).get("data") is None


# --- the whole way ---------------------------------------------------------------------------------------------------


def test_each_trigger_of_the_broker_has_its_verdict_with_the_reason() -> None:
    [shown] = journey("order-1", [TRIGGERS, accepted(ORDER, 2), attempted(ORDER, 3, 2, Action.ACK, status=204)])
    states = {way["trigger"]: (way["state"], way["why"]) for way in shown["triggers"]}
    assert states == {
        "shop/confirm": ("answered", ""),
        "shop/refunds": ("filtered out", "type shop.order.placed does not begin with shop.refund (prefix)"),
    }
    assert shown["event"]["data"] == {"order": 7}


def test_a_trigger_that_has_not_answered_is_waited_for() -> None:
    [shown] = journey("order-1", [TRIGGERS, accepted(ORDER, 2)])
    assert [way["state"] for way in shown["triggers"]] == ["waiting", "filtered out"]


def test_attempts_are_in_their_order_and_end_in_a_dead_letter_or_a_loss() -> None:
    first = attempted(ORDER, 3, 2, Action.REDELIVER, status=503, outcome="503 no", why="because", next_in_s=1.0)
    last = attempted(ORDER, 4, 2, Action.DEAD_LETTER, attempt=2, status=503, outcome="503 no", why="because")
    fields: dict[str, Any] = {
        "broker": BROKER,
        "trigger": "shop/confirm",
        "id": "order-1",
        "source": "/shop",
        "type": "t",
        "sequence": 2,
    }
    letter = DeadLettered(number=5, at=5.0, sink="http://dead", outcome="202", **fields)
    lost = Lost(number=5, at=5.0, why="no sink", **fields)
    for ending, state in ((letter, "dead-lettered"), (lost, "lost")):
        [shown] = journey("order-1", [TRIGGERS, accepted(ORDER, 2), first, last, ending])
        way = shown["triggers"][0]
        assert way["state"] == state
        assert [each["attempt"] for each in way["attempts"]] == [1, 2]
        assert way["attempts"][0]["next_in_s"] == 1.0
    assert journey("order-1", [TRIGGERS, accepted(ORDER, 2), first])[0]["triggers"][0]["state"] == "retrying"


def test_replies_and_what_they_cause_are_below_the_event() -> None:
    reply, second = replace(ORDER, id="r-1", type="shop.confirmed"), replace(ORDER, id="r-2", type="shop.sent")
    [shown] = journey(
        "order-1",
        [TRIGGERS, accepted(ORDER, 2)],
        [accepted(reply, 3, door="reply", cause=cause(ORDER, 2))],
        [accepted(replace(ORDER, id="stranger"), 4)],
        [accepted(second, 5, door="reply", cause=cause(reply, 3))],
    )
    [first] = shown["caused"]
    assert (first["how"], first["trigger"], first["event"]["id"]) == ("reply", "shop/confirm", "r-1")
    assert [each["event"]["id"] for each in first["event"]["caused"]] == ["r-2"]


def test_a_reply_shown_by_itself_says_to_what_it_replies() -> None:
    reply = replace(ORDER, id="r-1", type="shop.confirmed")
    entries: list[AnyEntry] = [TRIGGERS, accepted(ORDER, 2), accepted(reply, 3, door="reply", cause=cause(ORDER, 2))]
    [shown] = journey("r-1", entries)
    assert shown["cause"]["id"] == "order-1"
    assert shown["caused"] == []


def test_a_dead_letter_at_another_broker_is_below_its_event_though_it_has_the_same_id() -> None:
    letter = accepted(ORDER, 3, broker="other/broker", door="dead letter", cause=cause(ORDER, 2))
    [shown] = journey("order-1", [TRIGGERS, accepted(ORDER, 2), letter])
    assert [each["event"]["broker"] for each in shown["caused"]] == ["other/broker"]
    assert [way["trigger"] for way in shown["caused"][0]["event"]["triggers"]] == ["other/all"]


def test_what_a_function_emits_while_it_handles_an_event_is_found_by_its_trace() -> None:
    trace = tracing.new_root()
    order = ORDER.with_extensions(**trace.attributes())
    during = replace(ORDER, id="during").with_extensions(**trace.child().attributes())
    after = replace(ORDER, id="after").with_extensions(**trace.child().attributes())
    [shown] = journey(
        "order-1",
        [TRIGGERS, accepted(order, 2, at=10.0), accepted(during, 3, at=10.3), accepted(after, 4, at=11.0)],
        [attempted(order, 5, 2, Action.ACK, at=10.1, lasted_s=0.4)],
    )
    assert [(each["how"], each["event"]["id"]) for each in shown["caused"]] == [("emitted", "during")]


def test_a_delivery_written_before_its_event_is_not_missed() -> None:
    reply = replace(ORDER, id="r-1")
    [shown] = journey(
        "order-1",
        [TRIGGERS, accepted(ORDER, 2)],
        [attempted(reply, 3, 4, Action.ACK)],
        [accepted(reply, 4, door="reply", cause=cause(ORDER, 2))],
    )
    assert shown["caused"][0]["event"]["triggers"][0]["state"] == "answered"


def test_a_replay_is_below_what_it_repeats() -> None:
    again = replace(ORDER, id="again").with_extensions(replayof="order-1")
    [shown] = journey("order-1", [TRIGGERS, accepted(ORDER, 2), accepted(again, 3, door="replay")])
    assert [(each["how"], each["event"]["id"]) for each in shown["caused"]] == [("replay", "again")]


def test_an_event_sent_to_one_trigger_has_no_verdict_of_the_others() -> None:
    again = replace(ORDER, id="again")
    [shown] = journey("again", [TRIGGERS, accepted(again, 3, door="replay", name="shop/confirm", sequence=0)])
    assert [way["trigger"] for way in shown["triggers"]] == ["shop/confirm"]


def test_a_dropped_duplicate_is_shown_as_such() -> None:
    shown = journey("order-1", [TRIGGERS, accepted(ORDER, 2), accepted(ORDER, 3, sequence=2, is_duplicate=True)])
    assert [each["is_duplicate"] for each in shown] == [False, True]
    assert shown[1]["triggers"] == []


def test_a_verdict_is_that_of_the_triggers_in_force_then() -> None:
    later = replace(TRIGGERS, number=5, digest="d2", triggers=[])
    related, sets = Related("order-1"), dict[str, TriggersKnown]()
    entries: list[AnyEntry] = [TRIGGERS, accepted(ORDER, 2), later, accepted(replace(ORDER, id="order-1"), 6)]
    related.search(Batch(digest="d0", data=b"\n".join(map(encode, entries))), sets)
    shown = journeys(related, "order-1", sets)
    assert [len(each["triggers"]) for each in shown] == [2, 0]


def test_triggers_written_again_later_serve_what_was_before_them() -> None:
    related, sets = Related("order-1"), Sets()
    related.search(Batch(digest="d1", data=encode(accepted(ORDER, 2))), sets)
    related.search(Batch(digest="d1", data=encode(TRIGGERS)), sets)
    assert len(journeys(related, "order-1", sets)[0]["triggers"]) == 2
