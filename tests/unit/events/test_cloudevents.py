"""The receiver and the sender checked against CloudEvents 1.0.2: core, HTTP binding ("http") and JSON format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from cloudevents.conversion import to_binary as sdk_to_binary
from cloudevents.conversion import to_structured as sdk_to_structured
from cloudevents.http import CloudEvent as SdkEvent
from cloudevents.http import from_http as sdk_from_http
from hypothesis import given
from hypothesis import strategies as st

from darkroom.contract.errors import EventInvalidError
from darkroom.events.cloudevents import (
    BATCHED,
    STRUCTURED,
    CloudEvent,
    encode_batch,
    encode_binary,
    encode_structured,
    is_event,
    parse,
    parse_one,
)

REQUIRED = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/test", "ce-type": "t"}
JSON_REQUIRED: dict[str, Any] = {"specversion": "1.0", "id": "1", "source": "/test", "type": "t"}


def binary(changes: Mapping[str, str | None], body: bytes = b"") -> CloudEvent:
    headers = {**REQUIRED, **{name.replace("_", "-", 1): value for name, value in changes.items()}}
    return parse_one({name: value for name, value in headers.items() if value is not None}, body)


def structured(**changes: Any) -> CloudEvent:
    members = {name: value for name, value in {**JSON_REQUIRED, **changes}.items() if value != "ABSENT"}
    return parse_one({"content-type": STRUCTURED}, json.dumps(members).encode())


@pytest.mark.parametrize(
    ("section", "headers", "attribute", "expected"),
    [
        ("http 3.1.3.2: percent-encoding", {"ce_subject": "a%20b"}, "subject", "a b"),
        ("http 3.1.3.2: UTF-8 of several bytes", {"ce_subject": "%E2%82%AC"}, "subject", "€"),
        ("http 3.1.3.2: lower-case hexadecimal", {"ce_subject": "%e2%82%ac"}, "subject", "€"),
        ("http 3.1.3.2: four bytes", {"ce_subject": "%F0%9F%98%80"}, "subject", "😀"),
        ("http 3.1.3.2: a quoted string", {"ce_subject": '"a b"'}, "subject", "a b"),
        ("http 3.1.3.2: an escaped quote in it", {"ce_subject": r'"a\"b"'}, "subject", 'a"b'),
        ("http 3.1.3.2: quoted, then percent-encoded", {"ce_subject": '"%22"'}, "subject", '"'),
        ("http 3.1.3.2: an encoded percent", {"ce_subject": "100%25"}, "subject", "100%"),
        ("http 3.1.3.2: decoded once only", {"ce_subject": "%2525"}, "subject", "%25"),
        ("http 3.1.3.2: raw UTF-8, as HTTP servers hand it over", {"ce_subject": "\u00e2\u0082\u00ac"}, "subject", "€"),
        ("RFC 9110 5.5: space around a value", {"ce_subject": "  a "}, "subject", "a"),
        (
            "core 3.1: source is a URI reference",
            {"ce_source": "urn:uuid:6e8bc430-9c3a"},
            "source",
            "urn:uuid:6e8bc430-9c3a",
        ),
        ("core 3.1: a relative source", {"ce_source": "//host/path?q=1#f"}, "source", "//host/path?q=1#f"),
        (
            "http 3.1.2: Content-Type is datacontenttype",
            {"content_type": "text/plain"},
            "datacontenttype",
            "text/plain",
        ),
        ("core 3.1: dataschema", {"ce_dataschema": "https://e.org/s"}, "dataschema", "https://e.org/s"),
    ],
)
def test_binary_attributes_are_read_as_the_specification_says(
    section: str, headers: dict[str, str], attribute: str, expected: str
) -> None:
    assert getattr(binary(headers), attribute) == expected, section


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02t03:04:05z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05.123456789Z", datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)),
        ("2026-01-02T03:04:05+02:00", datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2)))),
        ("2026-12-31T23:59:60Z", datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_times_of_rfc_3339_are_read(text: str, expected: datetime) -> None:
    assert binary({"ce_time": text}).time == expected


@pytest.mark.parametrize(
    ("section", "headers", "said"),
    [
        ("core 3.1: id is required", {"ce_id": None}, "id is required"),
        ("core 3.1: id is not empty", {"ce_id": ""}, "id must not be empty"),
        ("core 3.1: source is required", {"ce_source": None}, "source is required"),
        ("core 3.1: source is not empty", {"ce_source": ""}, "source must not be empty"),
        ("core 3.1: source is a URI reference", {"ce_source": "a%20b c"}, "source must be a URI"),
        ("RFC 3986: a broken percent-encoding", {"ce_source": "/a%25zz"}, "source must be a URI"),
        ("RFC 3986: a broken authority", {"ce_source": "http://[::1"}, "source must be a URI"),
        ("core 3.1: type is required", {"ce_type": None}, "type is required"),
        ("core 3.1: type is not empty", {"ce_type": ""}, "type must not be empty"),
        ("core 3.1: an unknown version", {"ce_specversion": "0.3"}, "specversion"),
        ("core 3.1: an empty version", {"ce_specversion": ""}, "specversion"),
        ("core 3.1: subject is not empty", {"ce_subject": ""}, "subject must not be empty"),
        ("core 3.1: dataschema is absolute", {"ce_dataschema": "/relative"}, "absolute URI"),
        ("core 3.1: dataschema has a scheme", {"ce_dataschema": "order"}, "absolute URI"),
        ("core 3.1: time is RFC 3339", {"ce_time": "yesterday"}, "time must be"),
        ("RFC 3339: a time without a zone", {"ce_time": "2026-01-02T03:04:05"}, "time must be"),
        ("RFC 3339: a date alone", {"ce_time": "2026-01-02"}, "time must be"),
        ("RFC 3339: month 13", {"ce_time": "2026-13-02T03:04:05Z"}, "time must be"),
        ("RFC 3339: a space for the T", {"ce_time": "2026-01-02 03:04:05Z"}, "time must be"),
        ("core 3: names are lower-case letters and digits", {"ce_my_ext": "1"}, "attribute names"),
        ("http 3.1.3: there is no ce-data", {"ce_data": "1"}, "ce-data is not allowed"),
        ("http 3.1.3: datacontenttype is Content-Type", {"ce_datacontenttype": "text/plain"}, "not allowed"),
        ("http 3.1.3.2: not UTF-8", {"ce_subject": "%FF"}, "not valid UTF-8"),
        ("http 3.1.3.2: an encoded surrogate", {"ce_subject": "%ED%A0%80"}, "not valid UTF-8"),
        ("core 3.1.1: a control character", {"ce_subject": "a%0Ab"}, "U+000A"),
        ("core 3.1.1: NUL", {"ce_myext": "a%00"}, "U+0000"),
        ("core 3.1.1: a noncharacter", {"ce_myext": "%EF%BF%BF"}, "U+FFFF"),
        ("RFC 2046: not a media type", {"content_type": "nonsense"}, "media type"),
    ],
)
def test_binary_events_that_the_specification_forbids_are_refused(
    section: str, headers: dict[str, str | None], said: str
) -> None:
    with pytest.raises(EventInvalidError) as refused:
        binary(headers)
    assert said in refused.value.detail, section


def test_empty_extensions_count_as_absent_because_knative_sends_empty_trace_headers() -> None:
    event = binary({"ce_traceparent": "", "ce_tracestate": "", "ce_costclass": "heavy"})
    assert event.extensions == {"costclass": "heavy"}


def test_a_binary_body_is_handed_over_byte_for_byte() -> None:
    body = bytes(range(256))
    assert binary({"content_type": "application/octet-stream"}, body).data == body


def test_no_body_and_no_content_type_means_no_data() -> None:
    assert binary({}).data is None


@pytest.mark.parametrize(
    ("section", "members", "data"),
    [
        ("json 3.1.1: an object", {"data": {"a": 1}}, b'{"a":1}'),
        ("json 3.1.1: a string is JSON when no type is given", {"data": "x"}, b'"x"'),
        ("json 3.1.1: null is JSON", {"data": None}, b"null"),
        ("json 3.1.1: +json is JSON", {"data": [1], "datacontenttype": "application/geo+json"}, b"[1]"),
        ("json 3.1.1: text is the string's content", {"data": "x", "datacontenttype": "text/plain"}, b"x"),
        ("json 3.1.1: Base64", {"data_base64": "AP8="}, b"\x00\xff"),
        ("json 3.1: neither is no data", {}, None),
        ("json 3.1.1: a charset on JSON", {"data": 1, "datacontenttype": "text/json; charset=utf-8"}, b"1"),
    ],
)  # fmt: skip
def test_structured_data_is_read_as_the_specification_says(
    section: str, members: dict[str, Any], data: bytes | None
) -> None:
    assert structured(**members).data == data, section


@pytest.mark.parametrize(
    ("section", "members", "said"),
    [
        ("json 3.1: data and data_base64", {"data": 1, "data_base64": "AA=="}, "exclude each other"),
        ("json 3.1.1: bad Base64", {"data_base64": "not base64!"}, "not Base64"),
        ("json 3.1.1: data_base64 is a string", {"data_base64": 5}, "must be a string"),
        ("json 2.2: id is a string", {"id": 5}, "id must be a string"),
        ("json 2.2: an extension is no object", {"myext": {"a": 1}}, "myext must be"),
        ("json 2.2: an extension is no array", {"myext": [1]}, "myext must be"),
        ("core 3.1.1: an extension is no fraction", {"myext": 1.5}, "myext must be"),
        ("core 3.1.1: integers have 32 bits", {"myext": 2**31}, "32-bit"),
        ("core 3: names", {"MyExt": "1"}, "attribute names"),
        ("json 2.1: null is absent, and source is required", {"source": None}, "source is required"),
        ("core 3.1: empty id", {"id": ""}, "id must not be empty"),
        ("core 3.1: time", {"time": 5}, "time must be a string"),
        ("core 3.1: version", {"specversion": 1.0}, "specversion"),
    ],
)
def test_structured_events_that_the_specification_forbids_are_refused(
    section: str, members: dict[str, Any], said: str
) -> None:
    with pytest.raises(EventInvalidError) as refused:
        structured(**members)
    assert said in refused.value.detail, section


def test_structured_extensions_keep_their_types() -> None:
    assert structured(a=True, b=-(2**31), c="x", d=None).extensions == {"a": True, "b": -(2**31), "c": "x"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "JSON object"),
        (b'"x"', "JSON object"),
        (b"\xff\xfe", "UTF-8"),
        (b'{"id":"1","id":"2"}', "twice"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"specversion":"1.0","id":"1","source":"/s","type":"t","data":NaN}', "NaN"),
    ],
)
def test_a_structured_body_that_is_not_an_event_is_refused(body: bytes, said: str) -> None:
    with pytest.raises(EventInvalidError) as refused:
        parse_one({"content-type": STRUCTURED}, body)
    assert said in refused.value.detail


def test_a_batch_gives_its_events_in_order() -> None:
    body = json.dumps([{**JSON_REQUIRED, "id": str(n)} for n in range(3)]).encode()
    assert [event.id for event in parse({"content-type": BATCHED}, body)] == ["0", "1", "2"]


def test_an_empty_batch_is_a_batch() -> None:
    assert parse({"content-type": BATCHED}, b"[]") == []


def test_a_batch_with_one_bad_event_names_it() -> None:
    body = json.dumps([JSON_REQUIRED, {**JSON_REQUIRED, "id": ""}]).encode()
    with pytest.raises(EventInvalidError) as refused:
        parse({"content-type": BATCHED}, body)
    assert refused.value.detail.startswith("event 1 of the batch")


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"content-type": "application/cloudevents+xml"}, "only the JSON event format"),
        ({"content-type": "application/json"}, "not a CloudEvent"),
        ({}, "not a CloudEvent"),
    ],
)
def test_a_request_in_no_content_mode_is_refused(headers: dict[str, str], said: str) -> None:
    with pytest.raises(EventInvalidError) as refused:
        parse(headers, b"{}")
    assert said in refused.value.detail


def test_a_batch_is_refused_where_one_event_is_wanted() -> None:
    with pytest.raises(EventInvalidError, match="batch is not taken here"):
        parse_one({"content-type": BATCHED}, b"[]")


def test_requests_are_distinguished_from_events_by_their_headers() -> None:
    assert is_event({"content-type": f"{STRUCTURED}; charset=utf-8"})
    assert is_event(REQUIRED)
    assert not is_event({"content-type": "image/jpeg"})


# --- what we send ----------------------------------------------------------------------------------------------------

_text = st.text(
    st.characters(blacklist_categories=["Cs", "Cc", "Cn"]), min_size=1, max_size=20
).filter(lambda text: text.strip(" \t") == text and not (len(text) > 1 and text[0] == text[-1] == '"'))  # fmt: skip
_events = st.builds(
    CloudEvent,
    id=_text,
    source=st.from_regex(r"\A/[a-z0-9/]{0,20}\Z"),
    type=_text,
    subject=st.none() | _text,
    time=st.none() | st.datetimes(timezones=st.just(UTC)),
    datacontenttype=st.just("application/octet-stream"),
    extensions=st.dictionaries(st.from_regex(r"\Ax[a-z0-9]{1,10}\Z"), _text, max_size=3),
    data=st.binary(min_size=1, max_size=50),
)


@given(_events)
def test_every_event_survives_every_mode(event: CloudEvent) -> None:
    for encode in (encode_binary, encode_structured):
        headers, body = encode(event)
        assert parse_one(headers, body) == event
    headers, body = encode_batch([event, event])
    assert parse(headers, body) == [event, event]


def test_the_sdk_reads_what_we_send() -> None:
    event = CloudEvent(
        id="1", source="/s", type="t", subject="a b€", datacontenttype="application/json", data=b'{"a":1}'
    )
    for encode in (encode_binary, encode_structured):
        headers, body = encode(event)
        read = sdk_from_http(headers, body)
        assert read["id"] == "1"
        assert read.data == {"a": 1}


def test_we_read_what_the_sdk_sends() -> None:
    sent = SdkEvent({"source": "/s", "type": "t", "subject": "plain", "datacontenttype": "application/json"}, {"a": 1})
    for encode in (sdk_to_binary, sdk_to_structured):
        headers, body = encode(sent)
        read = parse_one({name.lower(): value for name, value in headers.items()}, body)
        assert (read.subject, read.json()) == ("plain", {"a": 1})


def test_headers_that_we_send_are_printable_ascii_without_quotes() -> None:
    headers, _ = encode_binary(CloudEvent(id='ü "%\r', source="/s", type="t"))
    assert headers["ce-id"] == "%C3%BC%20%22%25%0D"
