"""An instance's answer as it arrives: bytes in; its head, the pieces of its body and its end out. No I/O.

    HEAD ──▶ BODY ──▶ DONE
      └───────┴─────▶ BROKEN

Sending the request is no state of it, since a function may answer before it has received everything. The answer to a
HEAD request is DONE with its head.
"""

from __future__ import annotations

from enum import Enum, auto

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser
from multidict import CIMultiDict

MAX_HEAD_BYTES = 256 * 1024


class BrokenOffError(Exception):
    """The connection ended, or what came on it was no HTTP, before the answer was complete."""


class State(Enum):
    HEAD = auto()
    BODY = auto()
    DONE = auto()
    BROKEN = auto()


class Answer:
    """httptools calls the `on_...` methods. The state changes in them and in `_finish`, and nowhere else."""

    def __init__(self, *, to_head: bool = False) -> None:
        self.state = State.HEAD
        self.error: BrokenOffError | None = None
        self.status = 0
        self.reason = ""
        self.headers: CIMultiDict[str] = CIMultiDict()
        self.body_bytes = 0
        """What has arrived of the body and was not taken yet."""
        self.keeps_alive = False
        """Whether the connection is fit for another request, as far as this answer says."""
        self._body: list[bytes] = []
        self._to_head = to_head
        self._head_bytes = 0
        self._parser: HttpResponseParser | None = HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        if self._parser is None:
            raise RuntimeError(f"fed after its end: {self.state}")
        if self.state is State.HEAD:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as exc:
            self.break_off(f"what it answered is no HTTP/1.1: {exc!r}")
        if self.state is State.HEAD and self._head_bytes > MAX_HEAD_BYTES:
            self.break_off(f"the head of its answer has more than {MAX_HEAD_BYTES} bytes")

    def end(self, error: Exception | None) -> None:
        """The connection ended, which is the end of a body that has no other (RFC 9112, section 6.3)."""
        is_framed = "Content-Length" in self.headers or "Transfer-Encoding" in self.headers
        if self.state is State.BODY and not is_framed and error is None:
            self._finish(State.DONE)
        self.break_off("it closed the connection" if error is None else repr(error))

    def break_off(self, reason: str) -> None:
        """An answer that is complete stays so."""
        self.keeps_alive = False
        if self.state in (State.HEAD, State.BODY):
            self.error = BrokenOffError(reason)
            self._finish(State.BROKEN)

    def take_body(self) -> bytes:
        pieces, self._body, self.body_bytes = self._body, [], 0
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    # --- the parser's side; of an announcement (1xx), it calls all of them, and then of the answer itself -------------

    def on_message_begin(self) -> None:
        if self.state is State.HEAD:
            self.reason, self.headers = "", CIMultiDict()
        else:
            # It says more than it was asked.
            self.keeps_alive = False

    def on_status(self, text: bytes) -> None:
        if self.state is State.HEAD:
            self.reason += _text(text)

    def on_header(self, name: bytes, value: bytes) -> None:
        # Later ones are trailers, which nobody asks for.
        if self.state is State.HEAD:
            self.headers.add(_text(name), _text(value))

    def on_headers_complete(self) -> None:
        if self._parser is None or self._parser.get_status_code() < 200:
            return
        self.state, self.status = State.BODY, self._parser.get_status_code()
        if self._to_head:
            # The parser waits for the body that this head announces, and cannot read another answer.
            self._finish(State.DONE)
        else:
            self.keeps_alive = self._parser.should_keep_alive()

    def on_body(self, piece: bytes) -> None:
        if self.state is State.BODY:
            self._body.append(piece)
            self.body_bytes += len(piece)

    def on_message_complete(self) -> None:
        if self.state is State.BODY:
            self._finish(State.DONE)

    def _finish(self, state: State) -> None:
        self.state = state
        self._parser = None  # it holds us


def _text(field: bytes) -> str:
    return field.decode("utf-8", "surrogateescape")
