"""A wrong address or key is reported before the load, with what answered there."""

from __future__ import annotations

import socket
from collections.abc import Callable

import httpx
import pytest

from loadtests.errors import UnreachableError
from loadtests.reaching import check_target


def darkroom(live: int = 200, jobs: int = 200) -> httpx.MockTransport:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(live if request.url.path == "/health/live" else jobs, json={})

    return httpx.MockTransport(answer)


def test_a_darkroom_that_answers_is_fine() -> None:
    check_target("http://here", {}, transport=darkroom())


def test_an_address_that_refuses_connections_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        host = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(UnreachableError, match=f"nothing answers at {host}"):
            check_target(host, {})


@pytest.mark.parametrize(
    ("transport", "headers", "said"),
    [
        (darkroom(live=404), {}, "/health/live answers 404, not 200: is a Darkroom there?"),
        (darkroom(jobs=401), {}, "requires an API key: set DARKROOM_API_KEY"),
        (darkroom(jobs=401), {"authorization": "Bearer x"}, "the one in DARKROOM_API_KEY is not valid"),
        (darkroom(jobs=500), {}, "answers 500"),
    ],
)
def test_what_is_wrong_there_is_said(transport: httpx.MockTransport, headers: dict[str, str], said: str) -> None:
    with pytest.raises(UnreachableError) as refused:
        check_target("http://there", headers, transport=transport)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (httpx.ConnectTimeout, "no connection within 5 s"),
        (httpx.ReadTimeout, "does not answer /health/live within 30 s"),
    ],
)
def test_a_silent_address_is_given_up(error: Callable[[str], Exception], said: str) -> None:
    def answer(_request: httpx.Request) -> httpx.Response:
        raise error("")

    with pytest.raises(UnreachableError, match=said):
        check_target("http://there", {}, transport=httpx.MockTransport(answer))
