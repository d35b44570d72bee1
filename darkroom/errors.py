"""The roots of the error tree, which the platform and the application share.

DarkroomError                   code, HTTP status, detail
├── RejectedError               the caller's fault; nothing was accepted
│   ├── EventInvalidError           event.invalid           400
│   ├── RouteNotFoundError          route.not_found         404
│   └── MethodNotAllowedError       method.not_allowed      405
├── DependencyUnavailableError  another try may succeed: dependency.unavailable 503
└── InternalError               a fault of ours: internal   500

SettingsError                   a variable of the environment is missing or wrong; stops the process at its start

The branches are drawn in `darkroom.contract.errors` and `darkroom.local.errors`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


class DarkroomError(Exception):
    """`detail` is for people: it gives the measured value and the limit. `code` is for programs and never changes."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.verdicts: tuple[DarkroomError | None, ...] = ()
        """Of a batch that was refused for this error: what was found of each of its events, None where it was sound."""

    def extensions(self) -> dict[str, Any]:
        """Further members of the problem document (RFC 9457, section 3.2)."""
        return {}

    def headers(self) -> dict[str, str]:
        """What the answer's head must say beside its status."""
        return {}


class RejectedError(DarkroomError):
    """The request is refused and nothing was accepted."""


@dataclass(frozen=True, kw_only=True)
class FieldError:
    """One thing that is wrong with one field."""

    field: str
    message: str
    value: Any = None

    def as_dict(self) -> dict[str, Any]:
        shown = {"field": self.field, "message": self.message}
        return shown if self.value is None else {**shown, "value": self.value}


class EventInvalidError(RejectedError):
    code = "event.invalid"
    status = 400
    title = "Invalid CloudEvent"


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
    """An outside system did not do its part; the same request may succeed later."""

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


class InternalError(DarkroomError):
    """A fault of ours. Its detail never shows what only we should know."""


class SettingsError(Exception):
    """Names every variable that is missing or wrong."""
