"""W3C Trace Context: which trace the current work belongs to, whether or not spans are recorded.

Converts headers to contexts and back, strictly (https://www.w3.org/TR/trace-context/, sections named below), and keeps
the current context. Spans are recorded by `darkroom.telemetry`. Nothing here depends on OpenTelemetry, so that trace
ids reach events, records and log lines even when it is off, and adapters can pass them on.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass

from darkroom.redaction import redacted

TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"
"""Names of the headers and of the CloudEvents extensions."""

SAMPLED = 0x01
KNOWN_FLAGS = 0x03
"""The flags sampled and random-trace-id (section 3.2.2.5); others must not be passed on."""
_VERSION_00_CHARACTERS = 55
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_MAX_STATE_CHARACTERS = 512
_MAX_STATE_MEMBERS = 32
_SIMPLE_KEY = r"[a-z][a-z0-9_\-*/]{0,255}"
_TENANT_KEY = r"[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13}"
_STATE_VALUE = r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
_STATE_MEMBER = f"({_SIMPLE_KEY}|{_TENANT_KEY})={_STATE_VALUE}"
"""Compiled on first use, which is rare; compiling at import would add two milliseconds to every cold start."""


@dataclass(frozen=True, kw_only=True)
class TraceContext:
    """Identifies one span, as its children refer to their parent."""

    trace_id: str
    """32 lower-case hexadecimal digits, not all zero."""
    span_id: str
    """16 lower-case hexadecimal digits, not all zero."""
    flags: int = 0
    tracestate: str = ""
    """Data that tracing systems exchange, passed on unread."""

    @property
    def sampled(self) -> bool:
        return bool(self.flags & SAMPLED)

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"

    def child(self) -> TraceContext:
        """Create the context of a new span in the same trace."""
        return TraceContext(trace_id=self.trace_id, span_id=_hex_id(16), flags=self.flags, tracestate=self.tracestate)

    def attributes(self) -> dict[str, str]:
        """Return the headers, which are also the event extensions. An empty tracestate is left out."""
        attributes = {TRACEPARENT: self.traceparent}
        return {**attributes, TRACESTATE: self.tracestate} if self.tracestate else attributes


def new_root(*, sampled: bool = False) -> TraceContext:
    return TraceContext(trace_id=_hex_id(32), span_id=_hex_id(16), flags=SAMPLED if sampled else 0)


def parse(traceparent: object, tracestate: object = "") -> TraceContext | None:
    """Parse a trace context; None means that a new trace begins.

    The result is None for a traceparent that is absent, empty (as Knative's dispatcher sends it) or invalid. An invalid
    tracestate is dropped on its own (section 3.3.1.5).
    """
    found = _TRACEPARENT.fullmatch(traceparent.strip(" \t")) if isinstance(traceparent, str) else None
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    # Future versions may be longer; the fields that we know come first (section 3.2.4).
    if version == "ff" or (version == "00" and more is not None):
        return None
    if not int(trace_id, 16) or not int(span_id, 16):
        return None
    return TraceContext(
        trace_id=trace_id,
        span_id=span_id,
        flags=int(flags, 16) & KNOWN_FLAGS,
        tracestate=_parsed_state(tracestate) if isinstance(tracestate, str) else "",
    )


def from_headers(headers: Mapping[str, str]) -> TraceContext | None:
    """Parse a request's trace context. Header names are lower case, or the mapping ignores case."""
    return parse(headers.get(TRACEPARENT, ""), headers.get(TRACESTATE, ""))


def from_attributes(attributes: Mapping[str, object]) -> TraceContext | None:
    """Parse the trace context in an event's attributes."""
    return parse(attributes.get(TRACEPARENT), attributes.get(TRACESTATE))


_current: ContextVar[TraceContext | None] = ContextVar("darkroom_trace", default=None)


def current() -> TraceContext | None:
    """Return the span, ours or a caller's, in which this task or thread is running."""
    return _current.get()


def attach(context: TraceContext | None) -> Token[TraceContext | None]:
    """Make a context the current one; pass the returned token to `detach`. `use` does both."""
    return _current.set(context)


def detach(token: Token[TraceContext | None]) -> None:
    _current.reset(token)


@contextmanager
def use(context: TraceContext | None) -> Iterator[None]:
    """Make `context` the current one until the block ends."""
    token = attach(context)
    try:
        yield
    finally:
        detach(token)


def _parsed_state(text: str) -> str:
    members = [member.strip(" \t") for member in text.split(",")]
    members = [member for member in members if member]
    keys = {member.partition("=")[0] for member in members}
    is_sound = (
        len(text) <= _MAX_STATE_CHARACTERS
        and len(members) <= _MAX_STATE_MEMBERS
        and len(keys) == len(members)
        and all(re.fullmatch(_STATE_MEMBER, member) for member in members)
        # It comes from untrusted clients, is stored in events and passed on to others.
        and redacted(text) == text
    )
    return ",".join(members) if is_sound else ""


def _hex_id(digits: int) -> str:
    """Return a random id that is not all zero. Ids need no secrecy; Python reseeds its generator after a fork."""
    while not (number := random.getrandbits(4 * digits)):
        continue
    return f"{number:0{digits}x}"
