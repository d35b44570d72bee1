"""The roots of the error tree, which the platform and the application share.

DarkroomError                   code, HTTP status, detail
├── RejectedError               the caller's fault; nothing was accepted
│   ├── EventInvalidError           event.invalid           400
│   ├── RequestMalformedError       request.malformed       400
│   ├── HostRefusedError            host.refused            403
│   ├── OriginRefusedError          origin.refused          403
│   ├── RouteNotFoundError          route.not_found         404
│   ├── MethodNotAllowedError       method.not_allowed      405
│   └── RequestTimeoutError         request.timeout         408
├── DependencyUnavailableError  a retry may succeed: dependency.unavailable 503
├── ServerBusyError             a retry may succeed: server.busy            503
├── InstanceBrokenError         instance.broken       502   the function's connection broke before it answered
├── RevisionFailingError        revision.failing      503   the function's instances do not start
├── RevisionOverloadedError     revision.overloaded   503   too many requests wait for the function
├── RevisionTimeoutError        revision.timeout      504   no first byte within timeoutSeconds
├── RouteTimeoutError           route.timeout         504   the exchange took longer than its HTTPRoute allows
└── InternalError               our fault: internal         500

SettingsError                   an environment variable is missing or invalid; stops the process at startup

The branches are drawn in `darkroom.contract.errors` and `darkroom.local.errors`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, ClassVar, Self

MAX_DETAIL_CHARACTERS = 4000
MAX_FIELD_CHARACTERS = 100
MAX_MESSAGE_CHARACTERS = 400
MAX_VALUE_CHARACTERS = 100


def shortened(text: str, limit: int) -> str:
    """Return the text, cut where it is longer: errors must not grow with what clients send."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _shown_value(value: Any) -> Any:
    """Return a value as an error shows it: as JSON can write it, and short."""
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**MAX_FIELD_CHARACTERS:
        return f"a number of {value.bit_length()} bits"
    return shortened(value, MAX_VALUE_CHARACTERS) if isinstance(value, str) else value


def must_pass(exc: BaseException) -> bool:
    """Return whether a handler must let this pass: the process, the task or the generator is to end.

    Anything else is handled like an Exception, whatever its base class. A panic in a library written in Rust is a
    BaseException (`pyo3_runtime.PanicException`).
    """
    # Not imported for this: a process without an event loop cannot be told to cancel one's tasks.
    asyncio = sys.modules.get("asyncio.exceptions")
    is_cancelled = asyncio is not None and isinstance(exc, asyncio.CancelledError)
    return is_cancelled or isinstance(exc, KeyboardInterrupt | SystemExit | GeneratorExit)


class DarkroomError(Exception):
    """Base of all errors that callers may see.

    `detail` is for people: it gives the measured value and the limit. `code` is for programs and never changes.
    """

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str) -> None:
        detail = shortened(detail, MAX_DETAIL_CHARACTERS)
        super().__init__(detail)
        self.detail = detail
        self.batch_errors: tuple[DarkroomError | None, ...] = ()
        """If this error caused a batch to be refused: one entry per event, None for a valid event."""

    def extensions(self) -> dict[str, Any]:
        """Return additional members of the problem document (RFC 9457, section 3.2)."""
        return {}

    def headers(self) -> dict[str, str]:
        """Return the response headers that this error requires."""
        return {}


class RejectedError(DarkroomError):
    """The request was refused and nothing of it was accepted."""


@dataclass(frozen=True, kw_only=True)
class FieldError:
    """One error in one field of a request."""

    field: str
    message: str
    value: Any = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "field", shortened(self.field, MAX_FIELD_CHARACTERS))
        object.__setattr__(self, "message", shortened(self.message, MAX_MESSAGE_CHARACTERS))
        object.__setattr__(self, "value", _shown_value(self.value))

    def as_dict(self) -> dict[str, Any]:
        shown = {"field": self.field, "message": self.message}
        return shown if self.value is None else {**shown, "value": self.value}


class EventInvalidError(RejectedError):
    code = "event.invalid"
    status = 400
    title = "Invalid CloudEvent"


class RequestMalformedError(RejectedError):
    """The request is not HTTP, or says something twice that can be said once. The detail repeats nothing of it: what
    could not be parsed may hold a key.
    """

    code = "request.malformed"
    status = 400
    title = "Malformed request"


class RequestTimeoutError(RejectedError):
    code = "request.timeout"
    status = 408
    title = "The request did not come in time"


class HostRefusedError(RejectedError):
    """The request was sent to a name that may be a web page's (DNS rebinding)."""

    code = "host.refused"
    status = 403
    title = "Host not allowed"

    @classmethod
    def of(cls, host: str) -> Self:
        return cls(
            f"nothing is served under the host {host[:80]!r}; use localhost, or configure the name (ALLOWED_HOSTS)"
        )


class OriginRefusedError(RejectedError):
    """The request comes from a web page of another origin, which is not allowed to send it."""

    code = "origin.refused"
    status = 403
    title = "Origin not allowed"

    @classmethod
    def of(cls, origin: str) -> Self:
        return cls(f"pages of {origin[:80]!r} may not use this service; ALLOWED_ORIGINS names those that may")


class RouteNotFoundError(RejectedError):
    code = "route.not_found"
    status = 404
    title = "No such path"


class MethodNotAllowedError(RejectedError):
    code = "method.not_allowed"
    status = 405
    title = "Method not allowed"

    def __init__(self, detail: str, *, allowed: Sequence[str]) -> None:
        super().__init__(detail)
        self.allowed = tuple(allowed)

    def headers(self) -> dict[str, str]:
        return {"allow": ", ".join(self.allowed)}


class DependencyUnavailableError(DarkroomError):
    """An external system failed; the same request may succeed later."""

    code = "dependency.unavailable"
    status = 503
    title = "Dependency unavailable"

    def __init__(self, dependency: str, detail: str, *, retry_after_s: int = 2) -> None:
        super().__init__(f"{dependency}: {detail}")
        self.dependency = dependency
        self.retry_after_s = retry_after_s

    def extensions(self) -> dict[str, Any]:
        return {"dependency": self.dependency}

    def headers(self) -> dict[str, str]:
        return {"retry-after": str(self.retry_after_s)}


class ServerBusyError(DarkroomError):
    """All places are taken; nothing was accepted."""

    code = "server.busy"
    status = 503
    title = "The server is busy"
    retry_after_s = 2

    def headers(self) -> dict[str, str]:
        return {"retry-after": str(self.retry_after_s)}


class InstanceBrokenError(DarkroomError):
    """The gateway's answer, as the four below: the request got to a function, or not, and was not answered."""

    code = "instance.broken"
    status = 502
    title = "The function's process broke the connection"


class RevisionFailingError(DarkroomError):
    code = "revision.failing"
    status = 503
    title = "The function does not start"

    def headers(self) -> dict[str, str]:
        # The longest pause between two tries of the pool.
        return {"retry-after": "5"}


class RevisionOverloadedError(DarkroomError):
    code = "revision.overloaded"
    status = 503
    title = "Too many requests wait for this function"


class RevisionTimeoutError(DarkroomError):
    code = "revision.timeout"
    status = 504
    title = "The function did not answer in time"


class RouteTimeoutError(DarkroomError):
    code = "route.timeout"
    status = 504
    title = "The answer took longer than the route allows"


class InternalError(DarkroomError):
    """A fault on our side. Its detail never reveals internals."""


class SettingsError(Exception):
    """Environment variables are missing or invalid; the message names every one of them."""


def describe(error: BaseException) -> str:
    """Return an exception's type and text, for details. Many timeouts have no text of their own."""
    text = str(error).strip() or ("no answer in time" if isinstance(error, TimeoutError) else "no further details")
    return f"{type(error).__name__}: {text}"
