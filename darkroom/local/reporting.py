"""The callback through which the runtime's parts report what happened: an action name and fields.

Only its type is defined here. The stack provides the callback and decides what happens with a report (console, log,
counters).
"""

from __future__ import annotations

from typing import Any, Protocol


class Report(Protocol):
    def __call__(self, action: str, /, **fields: Any) -> None:
        """Report an action. `action` is dotted and in the past tense, as in `server.died`. Must not block or raise."""


def report_nothing(action: str, /, **fields: Any) -> None:
    """Discard a report. For parts that run without a stack."""
