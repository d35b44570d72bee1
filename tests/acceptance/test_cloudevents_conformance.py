"""CloudEvents 1.0.2 over raw sockets against a running ingest: each case with the section that decides it.

"core" is the CloudEvents specification, "http" its HTTP protocol binding, "json" its JSON event format. Raw bytes are
sent, so that no library of the test's mends a header.
"""

from __future__ import annotations

import base64
import json
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from cloudevents.http import from_http as sdk_from_http

from darkroom.adapters.broker.http import HttpEmitter
from darkroom.adapters.storage.s3 import S3Storage
from darkroom.events.cloudevents import CloudEvent, encode_batch, encode_binary, encode_structured
from darkroom.imaging.photograph import make_photograph
from tests.front import BUCKET, function_server
from tests.scripted_http import Reply, scripted_server
from tests.servers import S3_ACCESS_KEY, S3_SECRET_KEY, Server, redis_server, running, s3_server

KEY = "uploads/mine/original"
DATA = {"parameters": {"width": 32}, "input": {"storage_key": KEY}}
BODY = json.dumps(DATA).encode()
RESIZE = "dev.darkroom.resize.requested"
REQUIRED = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/shop", "ce-type": RESIZE}
EVENT = {"specversion": "1.0", "id": "1", "source": "/shop", "type": RESIZE, "data": DATA}
STRUCTURED, BATCHED = "application/cloudevents+json", "application/cloudevents-batch+json"

TAKEN = (202, "")
REFUSED = (400, "event.invalid")


@dataclass(frozen=True)
class Case:
    section: str
    name: str
    headers: list[tuple[str, bytes]]
    body: bytes
    expected: tuple[int, str]


def binary(section: str, name: str, expected: tuple[int, str], body: bytes = BODY, **changes: Any) -> Case:
    """An attribute that is None is left out; `_type` is the Content-Type."""
    attributes: dict[str, Any] = {**REQUIRED, "content-type": "application/json"}
    for attribute, value in changes.items():
        header = "content-type" if attribute == "_type" else f"ce-{attribute.replace('__', '-')}"
        attributes[header] = value
    raw = [
        (header, value if isinstance(value, bytes) else value.encode())
        for header, value in attributes.items()
        if value is not None
    ]
    return Case(section, name, raw, body, expected)


def structured(section: str, name: str, expected: tuple[int, str], **members: Any) -> Case:
    event = {key: value for key, value in {**EVENT, **members}.items() if value is not ...}
    return in_json(section, name, expected, json.dumps(event).encode())


def in_json(section: str, name: str, expected: tuple[int, str], body: bytes, media_type: str = STRUCTURED) -> Case:
    return Case(section, name, [("content-type", media_type.encode())], body, expected)


def batch(section: str, name: str, expected: tuple[int, str], *events: Any) -> Case:
    return in_json(section, name, expected, json.dumps(list(events)).encode(), BATCHED)


CASES = [
    # Binary mode.
    binary("http 3.1", "all required attributes", TAKEN),
    binary("http 3.1.1", "a media type with parameters", TAKEN, _type="application/json; charset=utf-8"),
    binary("http 3.1.1", "a media type that ends in +json", TAKEN, _type="application/vnd.x+json"),
    binary("http 3.1.1", "data of another media type", REFUSED, _type="text/plain"),
    binary("http 3.1.1", "a media type that is none", REFUSED, _type="json"),
    binary("http 3.1.2", "an empty body is no job", REFUSED, body=b""),
    binary("http 3.1.2", "a body that is not JSON", REFUSED, body=b"{"),
    binary("http 3.1.2", "a body that is not UTF-8", REFUSED, body=b"\xff\xfe"),
    binary("http 3.1.3", "datacontenttype as a header", REFUSED, datacontenttype="application/json"),
    binary("http 3.1.3", "data as a header", REFUSED, data="x"),
    binary("http 3.1.3.1", "an extension", TAKEN, myextension="x"),
    binary("core 3", "an extension with a hyphen in its name", REFUSED, my__ext="x"),
    binary("core 3", "an extension with an underscore in its name", REFUSED, my_ext="x"),
    binary("http 3.1.3.2", "percent-encoded UTF-8", TAKEN, subject="Euro%20%E2%82%AC%20%F0%9F%98%80"),
    binary("http 3.1.3.2", "lower-case percent-encoding", TAKEN, subject="%e2%82%ac"),
    binary("http 3.1.3.2", "percent-encoding of what needs none", TAKEN, id="%31"),
    binary("http 3.1.3.2", "bytes that are not UTF-8", REFUSED, subject="%C0%80"),
    binary("http 3.1.3.2", "a character cut in half", REFUSED, subject="%E2%82"),
    binary("http 3.1.3.2", "a surrogate in UTF-8", REFUSED, subject="%ED%A0%80"),
    binary("http 3.1.3.2", "a quoted string", TAKEN, id='"quoted id"'),
    binary("http 3.1.3.2", "a quoted string with escapes", TAKEN, id='"a \\"b\\" \\\\ c"'),
    binary("http 3.1.3.2", "a quoted string that is empty inside", REFUSED, id='""'),
    binary("http 3.1.3.2", "raw UTF-8, as some senders have it", TAKEN, subject="Euro €".encode()),
    binary("core 3.1.1", "CR LF, percent-encoded", REFUSED, subject="a%0D%0Ax-evil:%201"),
    binary("core 3.1.1", "a zero byte, percent-encoded", REFUSED, id="a%00"),
    binary("core 3.1.1", "a C1 control character", REFUSED, subject="%C2%85"),
    binary("core 3.1.1", "a noncharacter", REFUSED, subject="%EF%BF%BF"),
    binary("core 3.1", "no id", REFUSED, id=None),
    binary("core 3.1", "an empty id", REFUSED, id=""),
    binary("core 3.1", "an id of spaces only", REFUSED, id="   "),
    binary("core 3.1", "no source", REFUSED, source=None),
    binary("core 3.1", "an empty source", REFUSED, source=""),
    binary("core 3.1", "a source that is an absolute URI", TAKEN, source="https://example.org/a?b#c"),
    binary("core 3.1", "a source that is a URN", TAKEN, source="urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66"),
    binary("core 3.1", "a source that is an e-mail address", TAKEN, source="mailto:a@example.org"),
    binary("core 3.1", "a source with a space", REFUSED, source="a b"),
    binary("core 3.1", "a source with an unfinished authority", REFUSED, source="http://[::1"),
    binary("core 3.1", "no type", REFUSED, type=None),
    binary("core 3.1", "an empty type", REFUSED, type=""),
    binary("core 3.1", "an empty subject", REFUSED, subject=""),
    binary("core 3.1", "no specversion is no event", REFUSED, specversion=None),
    binary("core 3.1", "an empty specversion", REFUSED, specversion=""),
    binary("core 3.1", "another specversion", REFUSED, specversion="0.3"),
    binary("core 3.1", "a specversion of 1", REFUSED, specversion="1"),
    binary("core 3.1", "a time in UTC", TAKEN, time="2018-04-05T17:31:00Z"),
    binary("core 3.1", "a time with fraction and offset", TAKEN, time="2018-04-05T17:31:00.123456789+01:30"),
    binary("core 3.1", "a time in lower case", TAKEN, time="2018-04-05t17:31:00z"),
    binary("core 3.1", "a leap second", TAKEN, time="2016-12-31T23:59:60Z"),
    binary("core 3.1", "a time without an offset", REFUSED, time="2018-04-05T17:31:00"),
    binary("core 3.1", "a date alone", REFUSED, time="2018-04-05"),
    binary("core 3.1", "a time with a space", REFUSED, time="2018-04-05 17:31:00Z"),
    binary("core 3.1", "a day that is none", REFUSED, time="2018-02-30T17:31:00Z"),
    binary("core 3.1", "an hour that is none", REFUSED, time="2018-02-03T25:31:00Z"),
    binary("core 3.1", "a dataschema that is an absolute URI", TAKEN, dataschema="https://example.org/schema"),
    binary("core 3.1", "a dataschema that is relative", REFUSED, dataschema="/schema"),
    binary("core 3.1", "an empty dataschema", REFUSED, dataschema=""),
    binary("core 3.1.1", "an empty extension, as Knative sends them", TAKEN, traceparent=""),
    # Structured mode.
    structured("http 3.2", "all required attributes", TAKEN),
    in_json("http 3.2.1", "with a charset", TAKEN, json.dumps(EVENT).encode(), f"{STRUCTURED}; charset=UTF-8"),
    in_json("http 3.2.1", "a media type in capitals", TAKEN, json.dumps(EVENT).encode(), STRUCTURED.upper()),
    in_json("http 3.2.1", "a format that is not ours", REFUSED, b"<event/>", "application/cloudevents+xml"),
    structured("json 2.1", "attributes that are null are not there", TAKEN, subject=None, time=None, myext=None),
    structured("json 2.2", "an extension that is a boolean", TAKEN, myext=True),
    structured("json 2.2", "an extension that is an integer", TAKEN, myext=-(2**31)),
    structured("core 3.1.1", "an integer beyond 32 bits", REFUSED, myext=2**31),
    structured("core 3.1.1", "an extension that is a fraction", REFUSED, myext=1.5),
    structured("core 3.1.1", "an extension that is an object", REFUSED, myext={}),
    structured("core 3", "an attribute's name in capitals", REFUSED, myExt="x"),
    structured("core 3.1", "an id that is a number", REFUSED, id=1),
    structured("core 3.1", "an empty id", REFUSED, id=""),
    structured("core 3.1", "a specversion that is a number", REFUSED, specversion=1.0),
    structured("core 3.1", "no source", REFUSED, source=...),
    structured("core 3.1", "a time that is a number", REFUSED, time=1),
    structured("core 3.1.1", "CR LF in a subject", REFUSED, subject="a\r\nb"),
    structured("core 3.1.1", "half a surrogate pair", REFUSED, subject="\ud800"),
    structured("json 3.1.1", "data in Base64", TAKEN, data=..., data_base64=base64.b64encode(BODY).decode()),
    structured("json 3.1.1", "Base64 that is none", REFUSED, data=..., data_base64="***"),
    structured("json 3.1.1", "Base64 that is a number", REFUSED, data=..., data_base64=1),
    structured("json 3.1", "both data and data_base64", REFUSED, data_base64=base64.b64encode(BODY).decode()),
    structured("json 3.1", "no data at all is no job", REFUSED, data=...),
    structured("json 3.1.1", "data that is a string is a JSON string", REFUSED, data=json.dumps(DATA)),
    structured("json 3.1.1", "an explicit JSON media type", TAKEN, datacontenttype="application/json"),
    structured("core 3.1", "an empty datacontenttype", REFUSED, datacontenttype=""),
    in_json("json 3", "an array", REFUSED, b"[]"),
    in_json("json 3", "no JSON", REFUSED, b"{"),
    in_json("json 3", "nothing", REFUSED, b""),
    in_json("RFC 8259 4", "a member given twice", REFUSED, json.dumps(EVENT).encode()[:-1] + b',"id":"2"}'),
    in_json("RFC 8259 8.1", "not UTF-8", REFUSED, json.dumps(EVENT, ensure_ascii=False).encode("utf-16")),
    in_json("RFC 8259 6", "NaN", REFUSED, json.dumps({**EVENT, "data": float("nan")}).encode()),
    in_json("RFC 8259 9", "a hundred thousand levels", REFUSED, b"[" * 100_000),
    # Batched mode.
    batch("http 3.3", "two events", TAKEN, EVENT, {**EVENT, "id": "2"}),
    batch("json 4.2", "an empty batch", TAKEN),
    batch("json 4", "one bad event among good ones", REFUSED, EVENT, {**EVENT, "id": ""}),
    batch("json 4", "something else than an event", REFUSED, EVENT, 1),
    batch("json 4", "a batch in a batch", REFUSED, [EVENT]),
    in_json("json 4", "an object", REFUSED, json.dumps(EVENT).encode(), BATCHED),
    # No mode.
    in_json("http 3", "JSON that claims nothing", REFUSED, json.dumps(EVENT).encode(), "application/json"),
]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    folder = tmp_path_factory.mktemp("conformance")
    with running(redis_server(folder / "redis")) as redis, running(s3_server(folder / "s3")) as s3:
        storage = S3Storage(
            endpoint=s3.url, public_endpoint=None, access_key=S3_ACCESS_KEY, secret_key=S3_SECRET_KEY, bucket=BUCKET
        )
        storage.prepare()
        storage.put(KEY, make_photograph(64, 48), content_type="image/jpeg")
        storage.close()
        yield redis, s3


@pytest.fixture(scope="module")
def ingest(servers: tuple[Server, Server], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    redis, s3 = servers
    folder: Path = tmp_path_factory.mktemp("ingest")
    with running(function_server("ingest", folder, redis_url=redis.url, s3_url=s3.url)) as server:
        yield server


def exchange(url: str, case: Case) -> tuple[int, dict[str, Any]]:
    """The request's bytes are made here, header by header."""
    address = urlsplit(url)
    assert address.port is not None
    head = b"POST / HTTP/1.1\r\nHost: ingest\r\nConnection: close\r\n"
    for name, value in case.headers:
        head += name.encode() + b": " + value + b"\r\n"
    head += f"Content-Length: {len(case.body)}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", address.port), timeout=20) as connection:
        connection.sendall(head + case.body)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    answered, _, body = received.partition(b"\r\n\r\n")
    return int(answered.split()[1]), json.loads(body)


def test_there_are_enough_cases_and_no_two_are_alike() -> None:
    assert len(CASES) >= 60
    assert len({(case.section, case.name, tuple(case.headers), case.body) for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.section}: {case.name}")
def test_an_event_is_taken_or_refused_as_the_specification_says(case: Case, ingest: Server) -> None:
    status, document = exchange(ingest.url, case)
    assert (status, document.get("code", "")) == case.expected, document


def test_the_same_event_in_every_mode_is_the_same_job(ingest: Server) -> None:
    event = {**EVENT, "id": "a b€", "source": "/once"}
    answers = [
        exchange(ingest.url, binary("", "", TAKEN, id='"a b%E2%82%AC"', source="/once")),
        exchange(ingest.url, structured("", "", TAKEN, **event)),
        exchange(ingest.url, batch("", "", TAKEN, event)),
    ]
    ids = {(document.get("jobs") or [document])[0]["job_id"] for _, document in answers}
    assert len(ids) == 1


# --- what we send ----------------------------------------------------------------------------------------------------

SENT = [
    CloudEvent(id="1", source="/s", type="t", datacontenttype="application/json", data=b'{"a": 1}'),
    CloudEvent(id="a b", source="/s", type="t", subject='"quoted"', datacontenttype="application/json", data=b"1"),
    CloudEvent(id="ü€😀", source="/s", type="t", datacontenttype="application/json", data=b"null"),
    CloudEvent(id="100%", source="/s?a=%20", type="t", datacontenttype="application/json", data=b'"x"'),
    CloudEvent(id="1", source="/s", type="t", time=datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC), data=None),
    CloudEvent(
        id="1",
        source="https://example.org/s",
        type="t",
        dataschema="https://example.org/d",
        extensions={"requestid": "r", "flag": True, "number": -5, "traceparent": "00-a-b-01"},
        datacontenttype="application/json",
        data=b"[]",
    ),
    CloudEvent(id="1", source="/s", type="t", datacontenttype="application/octet-stream", data=b"\x00\xff"),
]
_NAME = re.compile(r"ce-[a-z0-9]+")
_VALUE = re.compile(r"(?:[!#$&-~]|%[0-9A-F]{2})+")
"""http 3.1.3.2: printable ASCII; space, quote and percent are encoded."""


def received_by_a_sink(send: Any) -> tuple[dict[str, str], bytes]:
    with scripted_server(Reply(status=202)) as sink:
        send(sink.url)
        [request] = sink.received
        return request.headers, request.body


@pytest.mark.parametrize("event", SENT, ids=range(len(SENT)))
def test_what_our_emitter_sends_follows_the_specification(event: CloudEvent) -> None:
    def emit(url: str) -> None:
        emitter = HttpEmitter(url)
        emitter.emit(event)

    headers, body = received_by_a_sink(emit)
    attributes = {name: value for name, value in headers.items() if name.startswith("ce-")}
    assert {"ce-specversion", "ce-id", "ce-source", "ce-type"} <= set(attributes)
    assert headers["ce-specversion"] == "1.0"
    for name, value in attributes.items():
        assert _NAME.fullmatch(name), name
        assert _VALUE.fullmatch(value), (name, value)
    assert "ce-datacontenttype" not in headers, "http 3.1.3: it is the Content-Type"
    assert body == (event.data or b"")
    if event.datacontenttype is not None:
        assert headers["content-type"] == event.datacontenttype


@pytest.mark.parametrize("event", SENT, ids=range(len(SENT)))
@pytest.mark.parametrize("mode", ["binary", "structured", "batched"])
def test_what_we_send_in_any_mode_is_read_by_a_peer(event: CloudEvent, mode: str) -> None:
    def send(url: str) -> None:
        encoded = {"binary": encode_binary, "structured": encode_structured}
        headers, body = encode_batch([event]) if mode == "batched" else encoded[mode](event)
        httpx.post(url, headers=headers, content=body)

    headers, body = received_by_a_sink(send)
    if mode == "batched":
        [member] = json.loads(body)
        headers, body = {"content-type": STRUCTURED}, json.dumps(member).encode()
    if mode != "binary":
        assert "ce-id" not in headers, "http 3.2.2: nothing is said twice, lest it differ"
        read = sdk_from_http(headers, body)
        assert (read["id"], read["source"], read["type"]) == (event.id, event.source, event.type)
        return
    # The peer does not percent-decode; so only what needs none is held against it.
    read = sdk_from_http(headers, body, data_unmarshaller=lambda data: data)
    assert (read["source"].replace("%25", "%"), read["type"]) == (event.source, event.type)
