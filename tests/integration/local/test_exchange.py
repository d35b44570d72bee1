"""The hop's HTTP, against servers that say byte for byte what an instance may say."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing

import pytest
from multidict import CIMultiDict

from darkroom.local.children.ports import LOOPBACK, free_port
from darkroom.local.revisions import exchange
from darkroom.local.revisions.answer import BrokenOffError
from darkroom.local.revisions.connection import READ_BYTES, NotReachedError
from darkroom.local.revisions.exchange import Connections, Exchange
from darkroom.local.revisions.forwarding import ForwardRequest
from tests.integration.local.waiting import until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Peer:
    """Answers every request of a connection with the same bytes, and notes what came on which connection."""

    def __init__(self, answer: bytes, *, closes: bool = False, body_bytes: int = 0) -> None:
        self.requests: list[list[bytes]] = []
        self.open = 0
        self._answer = answer
        self._closes = closes
        self._body_bytes = body_bytes

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen: list[bytes] = []
        self.requests.append(seen)
        self.open += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                seen.append(head + await reader.readexactly(self._body_bytes))
                writer.write(self._answer)
                await writer.drain()
                if self._closes:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self.open -= 1
            writer.close()


@asynccontextmanager
async def asking(peer: Peer) -> AsyncIterator[Callable[..., asyncio.Task[bytes]]]:
    """A way to ask the peer over and over by the same connections, and get the answer's body."""
    server = await asyncio.start_server(peer.serve, LOOPBACK, 0)
    address = f"{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
    connections = Connections()

    async def ask(method: str, body: bytes | AsyncIterator[bytes] | None, headers: dict[str, str]) -> bytes:
        request = ForwardRequest(method=method, path="/", headers=CIMultiDict(headers), body=body)
        with closing(await connections.send(address, request)) as answer:
            return await whole(answer)

    def asked(
        method: str = "GET", body: bytes | AsyncIterator[bytes] | None = None, **headers: str
    ) -> asyncio.Task[bytes]:
        return asyncio.create_task(ask(method, body, headers))

    try:
        yield asked
    finally:
        connections.close()
        server.close()
        await server.wait_closed()


async def whole(answer: Exchange) -> bytes:
    return b"".join([chunk async for chunk in answer.chunks()])


async def pieces(*bodies: bytes) -> AsyncIterator[bytes]:
    for body in bodies:
        yield body


async def test_requests_that_follow_each_other_share_a_connection() -> None:
    peer = Peer(OK)
    async with asking(peer) as ask:
        assert [await ask() for _ in range(3)] == [b"ok"] * 3
    assert [len(requests) for requests in peer.requests] == [3]


async def test_requests_at_the_same_time_have_connections_of_their_own() -> None:
    peer = Peer(OK)
    async with asking(peer) as ask:
        assert await asyncio.gather(*(ask() for _ in range(3))) == [b"ok"] * 3
    assert [len(requests) for requests in peer.requests] == [1, 1, 1]


async def test_a_connection_is_closed_when_nobody_used_it_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "KEPT_IDLE_S", 0.05)
    peer = Peer(OK)
    async with asking(peer) as ask:
        await ask()
        await until(lambda: peer.open == 0, "it is closed")
        await ask()
    assert [len(requests) for requests in peer.requests] == [1, 1]


async def test_a_connection_is_not_used_for_longer_because_the_event_loop_is_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exchange, "KEPT_IDLE_S", 0.05)
    peer = Peer(OK)
    async with asking(peer) as ask:
        await ask()
        time.sleep(0.06)  # noqa: ASYNC251 - it is what makes the loop late
        await ask()
    assert [len(requests) for requests in peer.requests] == [1, 1]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", id="it says that it closes"
        ),
        pytest.param(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", id="an older HTTP"),
        pytest.param(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", id="it says more than it was asked"),
    ],
)
async def test_a_connection_that_is_not_fit_for_another_request_has_none(answer: bytes) -> None:
    peer = Peer(answer)
    async with asking(peer) as ask:
        assert [await ask() for _ in range(2)] == [b"ok"] * 2
    assert [len(requests) for requests in peer.requests] == [1, 1]


async def test_a_connection_whose_answer_was_not_read_is_not_used_again() -> None:
    """A client went away. What it left unread has stopped the reading, for the next one too."""
    size = READ_BYTES + 1  # the piece that stops the reading is the last one
    peer = Peer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
    server = await asyncio.start_server(peer.serve, LOOPBACK, 0)
    address = f"{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
    connections = Connections()
    request = ForwardRequest(method="GET", path="/", headers=CIMultiDict())
    async with server, asyncio.timeout(10):
        for _ in range(5):
            unread = await connections.send(address, request)
            await asyncio.sleep(0.05)  # until all of it may have come
            unread.close()
            with closing(await connections.send(address, request)) as answer:
                assert len(await whole(answer)) == size
        connections.close()


async def test_a_peer_that_closes_after_each_answer_is_asked_on_a_new_connection() -> None:
    peer = Peer(OK, closes=True)
    async with asking(peer) as ask:
        for _ in range(5):
            assert await ask() == b"ok"
            await until(lambda: peer.open == 0, "it has closed")
            await asyncio.sleep(0.01)  # until we have seen it
    assert len(peer.requests) == 5


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + OK, id="continue"),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK, id="early hints"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n", id="chunked"
        ),
    ],
)
async def test_the_answers_body_is_found(answer: bytes) -> None:
    peer = Peer(answer)
    async with asking(peer) as ask:
        assert [await ask() for _ in range(2)] == [b"ok"] * 2
    assert [len(requests) for requests in peer.requests] == [2]


async def test_a_body_without_a_length_lasts_until_the_connection_ends() -> None:
    async with asking(Peer(b"HTTP/1.1 200 OK\r\n\r\nok", closes=True)) as ask:
        assert await ask() == b"ok"


async def test_the_answer_to_head_has_no_body_whatever_its_length() -> None:
    async with asking(Peer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")) as ask:
        assert await ask("HEAD") == b""


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", "no HTTP", id="another protocol"),
        pytest.param(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", "no HTTP", id="101"
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Le", "closed", id="half a head"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", "closed", id="half a body"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", "closed", id="no last chunk"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 60_000, "262144 bytes", id="an endless head"),
    ],
)
async def test_what_is_no_whole_answer_is_an_error_that_says_so(answer: bytes, said: str) -> None:
    async with asking(Peer(answer, closes=True)) as ask:
        with pytest.raises(BrokenOffError, match=said):
            await ask()


async def test_nobody_there_is_another_error_than_an_answer_that_broke_off() -> None:
    request = ForwardRequest(method="GET", path="/", headers=CIMultiDict())
    with pytest.raises(NotReachedError):
        await Connections().send(f"{LOOPBACK}:{free_port()}", request)


async def test_the_request_is_framed_as_its_body_is_known() -> None:
    peer = Peer(OK, body_bytes=5)
    async with asking(peer) as ask:
        await ask("POST", b"12345")
        await ask("POST", pieces(b"12", b"", b"345"), **{"Content-Length": "5"})
    known, streamed = peer.requests[0]
    assert b"Content-Length: 5\r\n\r\n12345" in known
    assert b"Content-Length: 5\r\n\r\n12345" in streamed

    peer = Peer(OK, body_bytes=len(b"2\r\n12\r\n3\r\n345\r\n0\r\n\r\n"))
    async with asking(peer) as ask:
        await ask("PUT", pieces(b"12", b"", b"345"))
    assert peer.requests[0][0].endswith(b"Transfer-Encoding: chunked\r\n\r\n2\r\n12\r\n3\r\n345\r\n0\r\n\r\n")

    peer = Peer(OK)
    async with asking(peer) as ask:
        await ask("POST")
    assert b"Content-Length: 0\r\n" in peer.requests[0][0]


async def test_a_sender_that_fails_takes_the_connection_with_it() -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"12"
        raise ConnectionResetError("the client went away")

    peer = Peer(OK, body_bytes=5)
    async with asking(peer) as ask:
        with pytest.raises(BrokenOffError, match="ended early"):
            await ask("POST", failing(), **{"Content-Length": "5"})
        await until(lambda: peer.open == 0, "the peer sees it")
    assert peer.requests == [[]]


async def test_a_connection_whose_request_is_still_being_sent_is_not_used_again() -> None:
    """The peer refused early; what is yet to come of the body must not become the next request."""

    async def slow() -> AsyncIterator[bytes]:
        yield b"12"
        await asyncio.sleep(600)

    peer = Peer(OK)
    async with asking(peer) as ask:
        assert await ask("POST", slow(), **{"Content-Length": "5"}) == b"ok"
        assert await ask() == b"ok"
    assert len(peer.requests) == 2


@pytest.mark.parametrize("headers", [{"A": "b\r\nEvil: 1"}, {"A": "b\nEvil: 1"}, {"A\r\nEvil": "1"}])
async def test_a_line_break_in_a_header_is_refused(headers: dict[str, str]) -> None:
    peer = Peer(OK)
    async with asking(peer) as ask:
        with pytest.raises(ValueError, match="line breaks"):
            await ask("GET", None, **headers)
    assert peer.requests == []
