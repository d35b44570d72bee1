from __future__ import annotations

from multidict import CIMultiDict

from darkroom.local.revisions.forwarding import end_to_end, with_forwarded


def test_what_concerns_one_connection_only_is_not_passed_on() -> None:
    headers = CIMultiDict(
        {
            "Connection": "close, X-Only-Here",
            "X-Only-Here": "1",
            "Keep-Alive": "timeout=5",
            "Transfer-Encoding": "chunked",
            "TE": "trailers",
            "Upgrade": "websocket",
            "Expect": "100-continue",
            "Proxy-Authorization": "secret",
            "Content-Type": "image/jpeg",
            "Content-Length": "3",
        }
    )

    assert dict(end_to_end(headers)) == {"Content-Type": "image/jpeg", "Content-Length": "3"}


def test_headers_that_come_twice_stay_two() -> None:
    headers = CIMultiDict([("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])

    assert end_to_end(headers).getall("set-cookie") == ["a=1", "b=2"]


def test_the_client_is_added_to_those_that_forwarded_before_and_the_first_host_is_kept() -> None:
    headers = CIMultiDict({"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Host": "first.example"})

    forwarded = with_forwarded(headers, client="127.0.0.1", host="second.example", scheme="http")

    assert forwarded["X-Forwarded-For"] == "192.0.2.1, 127.0.0.1"
    assert forwarded["X-Forwarded-Host"] == "first.example"
    assert forwarded["X-Forwarded-Proto"] == "http"
