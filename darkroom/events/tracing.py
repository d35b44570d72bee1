"""W3C Trace Context: which trace the work at hand belongs to, whether anybody records it or not.

Headers to contexts and back, strictly (https://www.w3.org/TR/trace-context/, sections named below), and the context
that is current. Recording spans is `darkroom.telemetry`'s; nothing here knows of OpenTelemetry,
so that ids reach events, records and log lines where it is off, and adapters below can pass them on.
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
"""Names of headers, and of the CloudEvents extensions."""

SAMPLED = 0x01
KNOWN_FLAGS = 0x03
"""sampled, and random-trace-id (section 3.2.2.5); others must not be passed on."""
_VERSION_00_CHARACTERS = 55
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_MAX_STATE_CHARACTERS = 512
_MAX_STATE_MEMBERS = 32
_SIMPLE_KEY = r"[a-z][a-z0-9_\-*/]{0,255}"
_TENANT_KEY = r"[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13}"
_STATE_VALUE = r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
_STATE_MEMBER = f"({_SIMPLE_KEY}|{_TENANT_KEY})={_STATE_VALUE}"
"""Compiled when one comes, which is seldom; it would cost every cold start two milliseconds."""


@dataclass(frozen=True, kw_only=True)
class TraceContext:
    """One span, as those that follow from it name their parent."""

    trace_id: str
    """32 lower-case hexadecimal digits, not all zero."""
    span_id: str
    """16 of them."""
    flags: int = 0
    tracestate: str = ""
    """What tracing systems told each other, passed on unread."""

    @property
    def sampled(self) -> bool:
        return bool(self.flags & SAMPLED)

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"

    def child(self) -> TraceContext:
        """A new span of the same trace."""
        return TraceContext(trace_id=self.trace_id, span_id=_hex_id(16), flags=self.flags, tracestate=self.tracestate)

    def attributes(self) -> dict[str, str]:
        """As headers, and as extensions of an event. An empty one would be an absent one: it is left out."""
        named = {TRACEPARENT: self.traceparent}
        return {**named, TRACESTATE: self.tracestate} if self.tracestate else named


def new_root(*, sampled: bool = False) -> TraceContext:
    return TraceContext(trace_id=_hex_id(32), span_id=_hex_id(16), flags=SAMPLED if sampled else 0)


def parse(traceparent: object, tracestate: object = "") -> TraceContext | None:
    """None for what is absent, empty (as Knative's dispatcher sends it) or breaks the rules: then a trace begins anew.

    A tracestate that breaks them is dropped by itself (section 3.3.1.5).
    """
    found = _TRACEPARENT.fullmatch(traceparent.strip(" \t")) if isinstance(traceparent, str) else None
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    # Versions to come may be longer; what we know of stands in front (section 3.2.4).
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
    """Of a request; header names are lower case, or the mapping takes any case."""
    return parse(headers.get(TRACEPARENT, ""), headers.get(TRACESTATE, ""))


def from_attributes(attributes: Mapping[str, object]) -> TraceContext | None:
    """Of an event's attributes."""
    return parse(attributes.get(TRACEPARENT), attributes.get(TRACESTATE))


_current: ContextVar[TraceContext | None] = ContextVar("darkroom_trace", default=None)


def current() -> TraceContext | None:
    """The span, ours or a caller's, in which this task or thread works."""
    return _current.get()


def attach(context: TraceContext | None) -> Token[TraceContext | None]:
    """Make it the current one; `detach` takes what is returned. `use` does both."""
    return _current.set(context)


def detach(token: Token[TraceContext | None]) -> None:
    _current.reset(token)


@contextmanager
def use(context: TraceContext | None) -> Iterator[None]:
    """`context` is the current one until the block ends."""
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
        # It comes from strangers, and is kept in events and passed on to others.
        and redacted(text) == text
    )
    return ",".join(members) if is_sound else ""


def _hex_id(digits: int) -> str:
    """Random and not all zero. Ids need no secrecy; Python seeds its generator anew after a fork."""
    while not (number := random.getrandbits(4 * digits)):
        continue
    return f"{number:0{digits}x}"
