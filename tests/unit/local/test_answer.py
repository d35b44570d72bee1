"""The states of an answer, byte by byte."""

from __future__ import annotations

import gc
import weakref

import pytest

from darkroom.local.revisions.answer import MAX_HEAD_BYTES, Answer, State

HEAD = b"HTTP/1.1 200 Fine\r\nContent-Length: 2\r\nA: b\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\nTrailer: x\r\n\r\n"


def states(answer: Answer, data: bytes) -> list[State]:
    """Every state that it was in, fed one byte after the other."""
    seen = [answer.state]
    for byte in data:
        answer.feed(bytes([byte]))
        if answer.state is not seen[-1]:
            seen.append(answer.state)
    return seen


@pytest.mark.parametrize("data", [HEAD + b"ok", CHUNKED, b"HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\n" + HEAD + b"ok"])
def test_an_answer_goes_from_its_head_to_its_body_to_its_end(data: bytes) -> None:
    answer = Answer()
    assert states(answer, data) == [State.HEAD, State.BODY, State.DONE]
    assert (answer.status, answer.reason, answer.take_body()) == (200, "Fine", b"ok")
    assert not {"Link", "Trailer"} & set(answer.headers)
    assert answer.keeps_alive


def test_the_same_bytes_at_once_are_the_same_answer() -> None:
    answer = Answer()
    answer.feed(HEAD + b"ok")
    assert (answer.state, answer.headers["a"], answer.take_body()) == (State.DONE, "b", b"ok")


def test_an_answer_to_head_is_done_with_its_head_and_ends_its_connection() -> None:
    answer = Answer(to_head=True)
    assert states(answer, HEAD) == [State.HEAD, State.DONE]
    assert not answer.keeps_alive


def test_an_answer_that_says_more_than_it_was_asked_is_done_and_ends_its_connection() -> None:
    answer = Answer()
    answer.feed(HEAD + b"ok" + b"HTTP/1.1 500 Evil\r\nContent-Length: 4\r\n\r\nevil")
    assert (answer.state, answer.status, answer.take_body()) == (State.DONE, 200, b"ok")
    assert not answer.keeps_alive


@pytest.mark.parametrize(
    ("data", "error", "ends_as"),
    [
        pytest.param(b"", None, State.BROKEN, id="nothing"),
        pytest.param(HEAD[:30], None, State.BROKEN, id="half a head"),
        pytest.param(HEAD + b"o", None, State.BROKEN, id="half a body"),
        pytest.param(CHUNKED[:-4], None, State.BROKEN, id="no end of the chunks"),
        pytest.param(HEAD + b"ok", OSError("reset"), State.DONE, id="all of it, then a reset"),
        pytest.param(b"HTTP/1.1 200 Fine\r\n\r\nok", None, State.DONE, id="a body that lasts until the end"),
        pytest.param(b"HTTP/1.1 200 Fine\r\n\r\nok", OSError("reset"), State.BROKEN, id="such a body, and a reset"),
        pytest.param(b"HTTP/1.1 204 Fine\r\n\r\n", None, State.DONE, id="no body"),
    ],
)
def test_the_connections_end_completes_an_answer_or_breaks_it_off(
    data: bytes, error: OSError | None, ends_as: State
) -> None:
    answer = Answer()
    if data:
        answer.feed(data)
    answer.end(error)
    assert answer.state is ends_as
    assert (answer.error is not None) == (ends_as is State.BROKEN)


def test_an_endless_head_is_broken_off_at_the_limit_that_the_error_names() -> None:
    answer = Answer()
    answer.feed(b"HTTP/1.1 200 Fine\r\n")
    while answer.state is State.HEAD:
        answer.feed(b"A: b\r\n" * 1000)
    assert str(MAX_HEAD_BYTES) in str(answer.error)


def test_an_answer_that_has_ended_leaves_nothing_for_the_garbage_collector() -> None:
    gc.disable()
    try:
        answer = Answer()
        answer.feed(HEAD + b"ok")
        left = weakref.ref(answer)
        del answer
        assert left() is None
    finally:
        gc.enable()
