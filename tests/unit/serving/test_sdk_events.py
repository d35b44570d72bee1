"""Our CloudEvent converted to the SDK's and back: nothing is lost, nothing is invented, and nothing invalid gets
out.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any

import pytest
from cloudevents.conversion import to_structured
from cloudevents.http import CloudEvent as SdkEvent
from hypothesis import given, settings
from hypothesis import strategies as st

from darkroom.errors import EventInvalidError
from darkroom.events import cloudevents
from darkroom.events.cloudevents import CloudEvent
from darkroom.serving.sdk_events import from_sdk, to_sdk

# What core 3.1.1 allows in a string; the codec's own tests cover what it forbids.
TEXTS = st.text(st.characters(categories=["L", "N", "P", "S"], include_characters=" "), min_size=1, max_size=20)
NAMES = st.from_regex(r"[a-z0-9]{1,20}", fullmatch=True).filter(
    lambda name: name not in {*CloudEvent.__dataclass_fields__, "specversion"}
)
INTEGERS = st.integers(min_value=-(2**31), max_value=2**31 - 1)
TIMES = st.datetimes(
    min_value=datetime(1, 1, 2),
    max_value=datetime(9999, 12, 30),
    timezones=st.just(UTC) | st.just(timezone(timedelta(hours=5))),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def encoded(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


# null is JSON, but as an SDK event's data it is no data at all.
JSON_PAYLOADS = st.tuples(
    st.sampled_from(["application/json", "application/json; charset=utf-8", "application/vnd.shop+json"]),
    VALUES.filter(lambda value: value is not None).map(encoded),
)
BINARY_PAYLOADS = st.tuples(st.sampled_from(["application/octet-stream", "text/plain", "image/png"]), st.binary())
NO_PAYLOAD = st.tuples(st.none() | st.just("application/json"), st.none())


@st.composite
def events(draw: st.DrawFn) -> CloudEvent:
    media_type, data = draw(JSON_PAYLOADS | BINARY_PAYLOADS | NO_PAYLOAD)
    return CloudEvent(
        id=draw(TEXTS),
        source=draw(st.sampled_from(["/shop", "urn:shop:1", "https://shop.example/orders?x=%20#1"])),
        type=draw(TEXTS),
        subject=draw(st.none() | TEXTS),
        time=draw(st.none() | TIMES),
        datacontenttype=media_type,
        dataschema=draw(st.none() | st.just("https://shop.example/order/1")),
        extensions=draw(st.dictionaries(NAMES, TEXTS | INTEGERS | st.booleans(), max_size=4)),
        data=data,
    )


@settings(deadline=None)
@given(events())
def test_an_event_that_is_handed_over_and_given_back_is_the_same(event: CloudEvent) -> None:
    assert from_sdk(to_sdk(event)) == event


@settings(deadline=None)
@given(events())
def test_what_the_author_gives_back_crosses_the_wire_as_it_is(event: CloudEvent) -> None:
    sent = from_sdk(to_sdk(event))
    for headers, body in (cloudevents.encode_binary(sent), cloudevents.encode_structured(sent)):
        received = cloudevents.parse_one(headers, body)
        assert (received.id, received.source, received.type) == (event.id, event.source, event.type)
        assert (received.subject, received.time) == (event.subject, event.time)
        assert to_sdk(received).data == to_sdk(event).data


@settings(deadline=None)
@given(events())
def test_the_sdk_itself_reads_out_of_the_event_what_we_put_in(event: CloudEvent) -> None:
    """The SDK's own encoder is the peer: our parser must read what it writes as the original event."""
    converted = to_sdk(event)
    headers, body = to_structured(converted)
    parsed = cloudevents.parse_one({name.lower(): value for name, value in headers.items()}, body)
    assert parsed.attributes() == event.attributes()
    assert to_sdk(parsed).data == converted.data


def sdk(data: Any = None, /, **attributes: Any) -> SdkEvent:
    return SdkEvent({"id": "1", "type": "a.type", "source": "/s", **attributes}, data)


def test_a_time_that_the_sender_did_not_give_is_not_made_up() -> None:
    event = to_sdk(CloudEvent(id="1", source="/s", type="t"))
    assert "time" not in event
    assert event.get("time") is None


def test_an_author_sees_json_as_values_and_anything_else_as_bytes() -> None:
    event = CloudEvent(id="1", source="/s", type="t", datacontenttype="application/json", data=b'{"a": [1, null]}')
    assert to_sdk(event).data == {"a": [1, None]}
    other = CloudEvent(id="1", source="/s", type="t", datacontenttype="text/plain", data=b"7")
    assert to_sdk(other).data == b"7"


@pytest.mark.parametrize(("data", "value"), [(b'{"a":1}', {"a": 1}), (b"\xff", b"\xff"), (b"", None)])
def test_data_of_no_declared_type_is_json_where_it_can_be(data: bytes, value: Any) -> None:
    assert to_sdk(CloudEvent(id="1", source="/s", type="t", data=data)).data == value


@pytest.mark.parametrize("data", [b"{", b"\xff", b'{"a":1,"a":2}', b"NaN"])
def test_data_that_is_not_the_json_that_it_says_is_refused(data: bytes) -> None:
    with pytest.raises(EventInvalidError, match="application/json"):
        to_sdk(CloudEvent(id="1", source="/s", type="t", datacontenttype="application/json", data=data))


@pytest.mark.parametrize(
    ("data", "media_type", "payload"),
    [
        ({"a": "ü"}, "application/json", '{"a":"ü"}'.encode()),
        ("text", "application/json", b'"text"'),
        (b"\x00", "application/octet-stream", b"\x00"),
        (bytearray(b"\x01"), "application/octet-stream", b"\x01"),
    ],
)
def test_data_without_a_type_gets_the_one_that_it_has(data: Any, media_type: str, payload: bytes) -> None:
    event = from_sdk(sdk(data))
    assert (event.datacontenttype, event.data) == (media_type, payload)


def test_text_is_sent_as_it_is_under_a_type_of_its_own() -> None:
    assert from_sdk(sdk("grüße", datacontenttype="text/plain")).data == "grüße".encode()


def test_json_that_is_bytes_already_is_sent_byte_for_byte() -> None:
    assert from_sdk(sdk(b'{ "a": 1 }', datacontenttype="application/json")).data == b'{ "a": 1 }'


class Colour(StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "sent"),
    [(7, 7), (True, True), (Colour.RED, "red"), (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00")],
)
def test_extensions_may_be_what_events_know(value: Any, sent: Any) -> None:
    assert from_sdk(sdk(xext=value)).extensions == {"xext": sent}


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"id": ""}, "id must not be empty"),
        ({"source": ""}, "source must not be empty"),
        ({"source": "a b"}, "source must be a URI reference"),
        ({"id": 7}, "id must be a string"),
        ({"type": "a\nb"}, "U\\+000A"),
        ({"specversion": "0.3"}, "specversion"),
        ({"time": "yesterday"}, "RFC 3339"),
        ({"time": datetime(2026, 1, 1)}, "time zone"),
        ({"dataschema": "order"}, "absolute URI"),
        ({"datacontenttype": "json"}, "media type"),
        ({"x_ext": "1"}, "lower-case letters and digits"),
        ({"xext": 2**31}, "32-bit"),
        ({"xext": 1.5}, "was float"),
        ({"xext": b"1"}, "was bytes"),
        ({"data": {}}, "no attribute"),
    ],
)
def test_an_event_that_nobody_may_send_is_refused_by_name(attributes: dict[str, Any], said: str) -> None:
    with pytest.raises(EventInvalidError, match=said):
        from_sdk(sdk(**attributes))


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (float("nan"), None),
        ({"when": datetime(2026, 1, 1)}, None),
        ({"half": "\ud800"}, None),
        (b"{", "application/json"),
        ({"a": 1}, "text/plain"),
        (7, "application/octet-stream"),
        ("\ud800", "text/plain"),
    ],
)
def test_data_that_cannot_be_sent_is_refused(data: Any, media_type: str | None) -> None:
    attributes = {} if media_type is None else {"datacontenttype": media_type}
    with pytest.raises(EventInvalidError, match="data"):
        from_sdk(sdk(data, **attributes))


def test_data_that_holds_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(EventInvalidError, match="data cannot be sent"):
        from_sdk(sdk(endless))
