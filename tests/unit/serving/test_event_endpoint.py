"""The responses to a broker's POST, past Flask and through it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import flask
import pytest

from darkroom.contract import events
from darkroom.events.cloudevents import CloudEvent, encode_binary
from darkroom.serving.answers import Done, EventAnswer, Failed, TryAgain
from darkroom.serving.event_endpoint import EventEndpoint
from darkroom.serving.framework import View, serve_endpoint
from darkroom.serving.rejections import rejecting_unreadable

EVENT = CloudEvent(
    id="1", source="/a/source", type="a.type", subject="ünder", datacontenttype="application/json", data=b'{"a": 1}'
)

Send = Callable[[dict[str, Any]], tuple[int, dict[str, str], bytes]]
Serve = Callable[[Callable[[CloudEvent], EventAnswer]], Send]


def environ_of(headers: dict[str, str], body: bytes) -> dict[str, Any]:
    """Make the environ of a request as gunicorn does (PEP 3333)."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/",
        "SERVER_NAME": "resize",
        "SERVER_PORT": "8080",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
    }
    for name, value in headers.items():
        key = name.upper().replace("-", "_")
        environ[key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"] = value
    return environ


def calling(app: flask.Flask) -> Send:
    def send(environ: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start(status: str, headers: list[tuple[str, str]], _exc: Any = None, /) -> Callable[[bytes], object]:
            started.append((status, headers))
            return lambda _: None

        body = b"".join(app(environ, start))
        [(status, headers)] = started
        return int(status.split()[0]), {name.lower(): value for name, value in headers}, body

    return send


def endpoint(handle: Callable[[CloudEvent], EventAnswer]) -> EventEndpoint:
    return EventEndpoint("events", handle, unreadable=rejecting_unreadable("resize"))


def past_flask(handle: Callable[[CloudEvent], EventAnswer]) -> Send:
    app = flask.Flask("events")
    with app.app_context():
        serve_endpoint(endpoint(handle))
    return calling(app)


def through_flask(handle: Callable[[CloudEvent], EventAnswer]) -> Send:
    app = flask.Flask("events")
    view: View = serve_endpoint(endpoint(handle))
    app.add_url_rule("/", view_func=lambda: view(flask.request), methods=["GET", "POST"])
    return calling(app)


@pytest.fixture(params=[past_flask, through_flask])
def serve(request: pytest.FixtureRequest) -> Serve:
    made: Serve = request.param
    return made


@pytest.mark.parametrize("is_chunked", [False, True])
def test_the_event_arrives_and_its_reply_goes_back(serve: Serve, is_chunked: bool) -> None:
    seen: list[CloudEvent] = []

    def handle(event: CloudEvent) -> EventAnswer:
        seen.append(event)
        return Done(reply=EVENT)

    headers, body = encode_binary(EVENT)
    framing = {} if is_chunked else {"Content-Length": str(len(body))}
    status, answered, reply = serve(handle)(environ_of({**headers, **framing}, body))

    assert seen == [EVENT]
    assert (status, reply) == (200, b'{"a": 1}')
    assert {name: value for name, value in answered.items() if name != "content-length"} == {
        name.lower(): value for name, value in headers.items()
    }
    assert answered["content-length"] == str(len(reply))


def test_half_an_event_is_never_taken_for_one() -> None:
    """The broker disconnected while it sent; it delivers again."""
    seen: list[CloudEvent] = []

    def handle(event: CloudEvent) -> EventAnswer:
        seen.append(event)
        return Done()

    headers, body = encode_binary(EVENT)
    environ = environ_of({**headers, "Content-Length": str(len(body))}, body[:-1])
    assert past_flask(handle)(environ)[0] == 500
    assert seen == []


def test_an_end_without_a_reply_has_no_body(serve: Serve) -> None:
    headers, body = encode_binary(EVENT)
    status, answered, reply = serve(lambda _: Done())(environ_of(headers, body))
    assert (status, reply) == (204, b"")
    assert "content-length" not in answered


def test_a_retry_response_says_when_and_why(serve: Serve) -> None:
    headers, body = encode_binary(EVENT)
    answer = TryAgain(reason="storage is down", retry_after_s=7)
    status, answered, reply = serve(lambda _: answer)(environ_of(headers, body))
    assert (status, answered["retry-after"], reply) == (503, "7", b"storage is down")


def test_what_is_no_event_is_answered_with_a_rejection_and_never_a_4xx(serve: Serve) -> None:
    status, answered, reply = serve(lambda _: Done())(environ_of({"Content-Type": "application/json"}, b"{}"))
    assert (status, answered["ce-type"]) == (200, events.EVENT_REJECTED)
    assert json.loads(reply)["reason"]


def test_a_handler_that_crashes_gets_a_500_without_the_reason(serve: Serve) -> None:
    def crash(_event: CloudEvent) -> EventAnswer:
        raise ValueError("canary")

    headers, body = encode_binary(EVENT)
    status, _answered, said = serve(crash)(environ_of(headers, body))
    assert (status, said) == (500, b"")


def test_a_failed_event_is_answered_500_with_the_reason_for_its_dead_letter(serve: Serve) -> None:
    headers, body = encode_binary(EVENT)
    status, _answered, said = serve(lambda _: Failed(reason="of another type"))(environ_of(headers, body))
    assert (status, said) == (500, b"of another type")


def test_a_get_learns_that_only_events_are_accepted() -> None:
    status, answered, _said = through_flask(lambda _: Done())({**environ_of({}, b""), "REQUEST_METHOD": "GET"})
    assert (status, answered["allow"]) == (405, "POST")


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("POST", "/elsewhere")])
def test_whatever_is_no_events_post_is_left_to_flask(method: str, path: str) -> None:
    send = past_flask(lambda _: Done())
    assert send({**environ_of({}, b""), "REQUEST_METHOD": method, "PATH_INFO": path})[0] == 404
