"""Errors of the local runtime itself. A branch of the tree in `darkroom.errors`.

DarkroomError
├── LocalRuntimeError           the runtime cannot start or keep running; ends the command with its detail
│   ├── PortTakenError              another program listens on a port that we should use
│   └── StartFailedError            a process died or did not answer before it was ready
├── RevisionTimeoutError        revision.timeout      504   no first byte within timeoutSeconds
├── RouteTimeoutError           route.timeout         504   the exchange took longer than its HTTPRoute allows
├── InstanceBrokenError         instance.broken       502   the instance's connection broke before it responded
├── RevisionOverloadedError     revision.overloaded   503   the revision's queue is full
└── RevisionFailingError        revision.failing      503   the revision's instances do not start
"""

from __future__ import annotations

from collections.abc import Sequence

from darkroom.errors import DarkroomError


class LocalRuntimeError(DarkroomError):
    code = "local.runtime"
    title = "The local runtime cannot continue"


class PortTakenError(LocalRuntimeError):
    code = "local.port_taken"
    title = "Port taken"

    def __init__(self, port: int, holder: str) -> None:
        super().__init__(f"port {port} is taken by {holder}")
        self.port = port
        self.holder = holder


class StartFailedError(LocalRuntimeError):
    """A process did not start. `last_lines` holds its last output, which usually gives the reason."""

    code = "local.start_failed"
    title = "A process did not start"

    def __init__(self, detail: str, *, last_lines: Sequence[str] = (), retired: bool = False) -> None:
        super().__init__("\n  ".join([detail, *last_lines]))
        self.reason = detail
        self.retired = retired
        """True if we stopped it ourselves before it was ready."""
        self.last_lines = tuple(last_lines)


class RevisionTimeoutError(DarkroomError):
    code = "revision.timeout"
    status = 504
    title = "The function did not answer in time"


class RouteTimeoutError(DarkroomError):
    code = "route.timeout"
    status = 504
    title = "The answer took longer than the route allows"


class InstanceBrokenError(DarkroomError):
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
