"""Header fields that a request may have once (RFC 9110, section 5.3). Two of them have no one reading: servers take the
first, the last or both joined, so they are refused instead.
"""

from __future__ import annotations

from collections.abc import Iterable

from darkroom.errors import RequestMalformedError

_ONCE = frozenset(
    {
        "authorization",
        "content-encoding",
        "content-length",
        "content-location",
        "content-type",
        "host",
        "idempotency-key",
        "if-modified-since",
        "if-none-match",
        "if-match",
        "if-unmodified-since",
        "last-event-id",
        "origin",
        "proxy-authorization",
        "range",
        "referer",
        "traceparent",
        "transfer-encoding",
        "user-agent",
        "x-request-id",
    }
)
_CLOUDEVENTS_PREFIX = "ce-"
"""An event's attributes, each of which has one value (CloudEvents HTTP binding, section 3.1.3)."""


def refuse_repeated(names: Iterable[str]) -> None:
    """Raise RequestMalformedError for a field that is there twice and may be there once. `names` are lower case."""
    seen: set[str] = set()
    for name in names:
        if name in seen and (name in _ONCE or name.startswith(_CLOUDEVENTS_PREFIX)):
            raise RequestMalformedError(f"the header {name[:80]} was given more than once; send it once")
        seen.add(name)
