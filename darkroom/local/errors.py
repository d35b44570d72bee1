"""Errors of the local runtime itself. A branch of the tree in `darkroom.errors`.

DarkroomError
├── LocalRuntimeError           the runtime cannot start or keep running; ends the command with its detail
│   ├── PortTakenError              another program listens on a port that we should use
│   └── StartFailedError            a process died or did not answer before it was ready
├── ChaosRefusedError           an order for chaos cannot be carried out here; answered by the admin API
│   └── ChaosBusyError              another run of chaos is under way
└── ... those of a request's way to a function, which its clients see: `darkroom.errors`
"""

from __future__ import annotations

from collections.abc import Sequence

from darkroom.errors import (
    DarkroomError,
    InstanceBrokenError,
    RevisionFailingError,
    RevisionOverloadedError,
    RevisionTimeoutError,
    RouteTimeoutError,
)

__all__ = [
    "ChaosBusyError",
    "ChaosRefusedError",
    "InstanceBrokenError",
    "LocalRuntimeError",
    "PortTakenError",
    "RevisionFailingError",
    "RevisionOverloadedError",
    "RevisionTimeoutError",
    "RouteTimeoutError",
    "StartFailedError",
]


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


class ChaosRefusedError(DarkroomError):
    code = "chaos.refused"
    status = 400
    title = "The order for chaos cannot be carried out"


class ChaosBusyError(ChaosRefusedError):
    code = "chaos.busy"
    status = 409
    title = "Another run of chaos is under way"
