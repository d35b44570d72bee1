"""ingest and hostile requests: each gets the right response, and leaves nothing in storage or among the jobs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from tests.unit.functions.ingesting import MAX_INPUT_BYTES, PICTURE, Ingest

MEGABYTE = 1_000_000
MULTIPART = {"content-type": "multipart/form-data; boundary=x"}
STRUCTURED = {"content-type": "application/cloudevents+json"}


def refused(ingest: Ingest, answer: httpx.Response, *codes: str) -> dict[str, Any]:
    assert 400 <= answer.status_code < 500, answer.text[:500]
    document: dict[str, Any] = answer.json()
    assert document["code"] in codes, document
    assert len(answer.content) < 20_000, "an answer is not as large as what it refuses"
    assert ingest.is_untouched()
    assert not ingest.emitter.events
    return document


def part(headers: str, body: bytes) -> bytes:
    return b"--x\r\n" + headers.encode() + b"\r\n\r\n" + body + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--x--\r\n"


IMAGE = part('Content-Disposition: form-data; name="image"; filename="a.jpg"', PICTURE)


def field(name: str, value: bytes) -> bytes:
    return part(f'Content-Disposition: form-data; name="{name}"', value)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (form(*[field(f"f{n}", b"1") for n in range(10_000)], IMAGE), "parameters.invalid"),
        (form(*[IMAGE] * 2, field("width", b"1")), "parameters.invalid"),
        (form(field("width", b"1" * MEGABYTE), IMAGE), "parameters.invalid"),
        (form(part("X: " + "y" * 100_000, b"1"), IMAGE), "parameters.invalid"),
        (form(part("\r\n".join(f"X{n}: y" for n in range(5000)), b"1"), IMAGE), "parameters.invalid"),
        (form(field("n" * 5000, b"1"), IMAGE), "parameters.invalid"),
        (form(field("width", b"\xff\xfe"), IMAGE), "parameters.invalid"),
        (form(field("width", b"1\r\nX-Evil: 1"), IMAGE), "parameters.invalid"),
        (form(field("wid\rth", b"1"), IMAGE), "parameters.invalid"),
        (form(IMAGE, field("width", b"1")) + b"x" * 400_000, "input.too_large"),
        (b"\r\n" * 1000 + form(IMAGE), "parameters.invalid"),
        (b"x" * 90_000, "parameters.invalid"),
        (
            form(part('Content-Disposition: form-data; name="image"', b"\xff" * (MAX_INPUT_BYTES + 1))),
            "input.too_large",
        ),
    ],
    ids=[
        *("ten thousand parts", "two pictures", "a parameter of a megabyte", "a part header of 100 KB"),
        *("five thousand part headers", "a name of 5 KB", "no UTF-8", "CR LF in a value", "CR in a name"),
        *("endless text after the end", "an endless preamble", "no boundary at all", "too large a picture"),
    ],
)
def test_a_hostile_form_is_refused(ingest: Ingest, body: bytes, code: str) -> None:
    refused(ingest, ingest.call("POST", "/api/v1/resize", content=body, headers=MULTIPART), code, "input.too_large")


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=" + "b" * 5000,
        'multipart/form-data; boundary="x\\"y"',
        "image/jpeg\t; a=b; c",
        "text/plain",
        "",
        "multipart/mixed; boundary=x",
    ],
)
def test_a_strange_content_type_is_refused(ingest: Ingest, content_type: str) -> None:
    answer = ingest.call("POST", "/api/v1/resize", content=form(IMAGE), headers={"content-type": content_type})
    refused(ingest, answer, "input.unsupported", "parameters.invalid", "input.too_large")


def test_a_parameter_of_a_megabyte_in_the_query_is_refused_and_not_repeated(ingest: Ingest) -> None:
    answer = ingest.call(
        "POST", f"/api/v1/resize?fit={'a' * 60_000}", content=PICTURE, headers={"content-type": "image/jpeg"}
    )
    refused(ingest, answer, "parameters.invalid")


def test_a_path_of_many_kilobytes_is_neither_answered_nor_logged_in_full(ingest: Ingest) -> None:
    with capture_logs() as lines:
        answer = ingest.call("POST", "/" + "a" * 50_000)
    assert (answer.status_code, answer.json()["code"]) == (404, "route.not_found")
    assert len(answer.content) < 2_000
    [line] = lines
    assert line["event"] == "request.answered"
    assert len(line["path"]) < 1_000


def test_ten_thousand_parameters_are_refused_by_their_number(ingest: Ingest) -> None:
    query = "&".join(["a"] * 10_000)
    answer = ingest.call("POST", f"/api/v1/resize?{query}", content=PICTURE, headers={"content-type": "image/jpeg"})
    document = refused(ingest, answer, "parameters.invalid")
    assert "10000" in document["detail"]


@pytest.mark.parametrize("headers", [{"content-type": "application/json"}, STRUCTURED], ids=["json", "event"])
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 50_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b'{"parameters": {"width": 1' + b"0" * 5000 + b'}, "input": {"storage_key": "a"}}',
        b'{"parameters": {"width": 1e999}, "input": {"storage_key": "a"}}',
        b'{"parameters": {"width": NaN}, "input": {"storage_key": "a"}}',
        b'{"parameters": {"fit": "' + b"a" * 60_000 + b'"}, "input": {"storage_key": "a"}}',
        b'{"parameters": {"fit": "\\r\\nX-Evil: 1"}, "input": {"storage_key": "a"}}',
        b'{"parameters": {"\\u0000": "\\ud800"}, "input": {"storage_key": "a"}}',
        b'{"parameters": {"width": 1}, "input": {"storage_key": "a\\r\\nb"}}',
        b'{"parameters": {"width": 1}, "parameters": {"width": 2}, "input": {"storage_key": "a"}}',
        b"{" + b",".join(b'"p%d":1' % n for n in range(5000)) + b"}",
        b"\xef\xbb\xbf{}",
        b"\xff\xfe",
        b"null",
        b"",
    ],
    ids=range(15),
)
def test_hostile_json_is_refused(ingest: Ingest, body: bytes, headers: dict[str, str]) -> None:
    path = "/" if headers is STRUCTURED else "/api/v1/resize"
    if headers is STRUCTURED and b'"input"' in body:
        wrap = b'{"specversion":"1.0","id":"1","source":"/s","type":"dev.darkroom.resize.requested","data":%s}'
        body = wrap.replace(b"%s", body)
    answer = ingest.call("POST", path, content=body, headers=headers)
    refused(ingest, answer, "parameters.invalid", "event.invalid", "input.too_large")


def test_a_json_document_beyond_its_limit_is_refused_while_it_streams(ingest: Ingest) -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 10_000
            yield b" " * 10_000

    for path, headers in (("/api/v1/resize", {"content-type": "application/json"}), ("/", STRUCTURED)):
        sent = 0
        refused(ingest, ingest.call("POST", path, content=chunks(), headers=headers), "input.too_large")
        assert sent < 300_000


def test_an_endless_preamble_is_not_read_to_its_end(ingest: Ingest) -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        yield form(IMAGE)[:-6]
        for _ in range(1000):
            sent += 10_000
            yield field(f"f{sent}", b"a" * 3000)

    answer = ingest.call("POST", "/api/v1/resize", content=chunks(), headers=MULTIPART)
    refused(ingest, answer, "parameters.invalid", "input.too_large")
    assert sent < 1_500_000


def test_a_body_that_stops_coming_is_given_up(ingest: Ingest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("functions.ingest.reading.BODY_SILENCE_S", 0.1)

    async def chunks() -> AsyncIterator[bytes]:
        yield IMAGE[:80]
        await asyncio.sleep(60)

    for path, headers in (
        ("/api/v1/resize?width=1", {"content-type": "image/jpeg"}),
        ("/api/v1/resize", MULTIPART),
        ("/", STRUCTURED),
    ):
        answer = ingest.call("POST", path, content=chunks(), headers=headers)
        assert refused(ingest, answer, "request.timeout")["status"] == 408


@pytest.mark.parametrize("key", ["", " " * 300, "a" * 256, "ü\x80", "a\x00b"])
def test_a_strange_idempotency_key_is_refused(ingest: Ingest, key: str) -> None:
    headers = [(b"idempotency-key", key.encode("latin-1"))]
    refused(ingest, ingest.resize(headers=headers), "parameters.invalid")


def test_an_event_of_strange_strings_leaves_nothing(ingest: Ingest) -> None:
    data = {"parameters": {"width": 32}, "input": {"storage_key": "uploads/mine/original"}}
    for name in ("id", "source", "subject", "type", "datacontenttype", "dataschema", "xext"):
        event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "dev.darkroom.resize.requested", "data": data}
        body = json.dumps({**event, name: "a\r\nb"})
        refused(ingest, ingest.call("POST", "/", content=body, headers=STRUCTURED), "event.invalid")
