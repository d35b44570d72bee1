"""What a function's own server does, without a gateway before it: malformed requests, trailers, forwarded addresses."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.front import function_server
from tests.malformed import BAD_CHUNKS, KEY, NO_HTTP, TWICE, exchange, refused
from tests.servers import Server, running
from tests.stack import made_api_key

_BEGINNINGS = {"an HTTP/2 preface", "a head without an end"}
WAITED_FOR = {"gunicorn": _BEGINNINGS, "gthread": {*_BEGINNINGS, "a TLS hello"}}
"""What gunicorn takes for a beginning, to which it awaits the rest; it holds at most 800 KB of it."""
NOBODY = {"redis_url": "redis://127.0.0.1:1", "s3_url": "http://127.0.0.1:1"}
EVENT = b'{"specversion":"1.0","id":"1","source":"/s","type":"x"}'


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    """ingest on uvicorn, resize on gunicorn with processes and notify-like threads."""
    folder: Path = tmp_path_factory.mktemp("functions")
    keys = {"API_KEYS": "on", "API_KEYS_FILE": str(folder / "keys.json"), "FORWARDED_ALLOW_IPS": "*"}
    (folder / "key").write_text(made_api_key(folder / "keys.json"))
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(running(function_server(function, folder / name, **NOBODY, **settings)))
            for name, function, settings in (
                ("uvicorn", "ingest", keys),
                ("gunicorn", "resize", {"THREADS": "1"}),
                ("gthread", "resize", {"THREADS": "2"}),
            )
        }


def port(server: Server) -> int:
    return urlsplit(server.url).port or 0


def log(server: Server) -> str:
    return (server.folder / "server.log").read_text()


@pytest.mark.parametrize("name", ["uvicorn", "gunicorn", "gthread"])
def test_what_is_no_request_is_refused_and_repeated_nowhere(servers: dict[str, Server], name: str) -> None:
    server = servers[name]
    for what, request in [*NO_HTTP.items(), *TWICE.items()]:
        if what in WAITED_FOR.get(name, ()):
            continue
        answer = exchange(port(server), request.replace(b"GET", b"POST", 1))
        assert refused(answer)["code"] == "request.malformed", what
    told = log(server)
    assert "S3CRET" not in told
    assert "Traceback" not in told
    assert len(told.splitlines()) < 40, "a log does not grow with what strangers send"


@pytest.mark.parametrize("name", ["gunicorn", "gthread"])
@pytest.mark.parametrize("path", [b"/", b"/other"])
def test_an_event_whose_chunks_are_none_is_refused(servers: dict[str, Server], name: str, path: bytes) -> None:
    for what, request in BAD_CHUNKS.items():
        if what != "a huge size":  # a size all the same, for whose bytes it waits
            refused(exchange(port(servers[name]), request.replace(b"/api/v1/resize", path)))
    assert "S3CRET" not in log(servers[name])


def test_a_picture_whose_chunks_are_none_is_refused(servers: dict[str, Server], tmp_path: Path) -> None:
    key = (servers["uvicorn"].folder.parent / "key").read_text()
    for request in BAD_CHUNKS.values():
        sent = request.replace(b"close\r\nAuthorization: Bearer " + KEY.encode(), b"close\r\nContent-Type: image/png")
        sent = sent.replace(b"/resize", b"/resize?width=1").replace(
            b"Host: x", b"Host: x\r\nAuthorization: Bearer %b" % key.encode()
        )
        refused(exchange(port(servers["uvicorn"]), sent))
    assert "S3CRET" not in log(servers["uvicorn"])


def chunked_with_trailer(trailer: str) -> bytes:
    head = "POST /api/v1/uploads HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"
    return f"{head}Trailer: Authorization\r\n\r\n1\r\nx\r\n0\r\n{trailer}\r\n\r\n".encode()


def test_credentials_in_a_trailer_are_none(servers: dict[str, Server]) -> None:
    key = (servers["uvicorn"].folder.parent / "key").read_text()
    status, _, body = exchange(port(servers["uvicorn"]), chunked_with_trailer(f"Authorization: Bearer {key}"))
    assert (status, json.loads(body)["code"]) == (401, "auth.missing")
    answer = httpx.post(f"{servers['uvicorn'].url}/api/v1/uploads", headers={"Authorization": f"Bearer {key}"})
    # There is no job store here, which says whether there is room: whoever is asked for it has been let in.
    assert (answer.status_code, answer.json()["code"]) == (503, "dependency.unavailable"), "a header's key is taken"


@pytest.mark.parametrize("name", ["gunicorn", "gthread"])
def test_attributes_of_an_event_in_a_trailer_are_none(servers: dict[str, Server], name: str) -> None:
    trailer = "ce-specversion: 1.0\r\nce-id: 1\r\nce-source: /s\r\nce-type: from.a.trailer"
    exchange(port(servers[name]), chunked_with_trailer(trailer))
    assert "from.a.trailer" not in log(servers[name])


@pytest.mark.slow
def test_half_a_head_is_told_that_its_time_is_up(servers: dict[str, Server]) -> None:
    with socket.create_connection(("127.0.0.1", port(servers["uvicorn"])), timeout=30) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        assert b"408" in connection.recv(65536).split(b"\r\n")[0]
