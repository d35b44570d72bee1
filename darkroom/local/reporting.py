"""How the runtime's parts say what happened: an action name and fields, to one callback that the stack gives them.

Only the shape of that callback; what becomes of a report (console, log, counters) is the stack's affair.
"""

from __future__ import annotations

from typing import Any, Protocol


class Report(Protocol):
    def __call__(self, action: str, /, **fields: Any) -> None:
        """`action` is past tense and dotted, as in `server.died`. Must not block and must not raise."""


def report_nothing(action: str, /, **fields: Any) -> None:
    """For parts that run without a stack."""
