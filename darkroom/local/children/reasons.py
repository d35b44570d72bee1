"""Finds the line of a process' last output that says why it ended, in the formats of several languages."""

from __future__ import annotations

import re
from collections.abc import Sequence

_REASONS = re.compile(
    r"""
    (?:Uncaught\ )?[A-Za-z_][\w.]*(?:Exception|Exit|Interrupt|Warning|Error)(?:\ \[\w+\])?(?::|$)  # Python, Node.js
    | Error:                                                                                        # Node.js
    | (?:panic|fatal\ error):                                                                       # Go
    | Exception\ in\ thread\ | Caused\ by:                                                          # Java
    | thread\ '.*'\ (?:\(\d+\)\ )?panicked\ at                                                      # Rust
    | \S+:\d+:in\ .*\(\w*(?:Error|Exception)\)                                                      # Ruby
    | PHP\ Fatal\ error:
    """,
    re.X,
)
_MESSAGE_FOLLOWS = re.compile(r"thread '.*' (?:\(\d+\) )?panicked at .*:$")


def reason_in(lines: Sequence[str]) -> str:
    """Return the line that says why a process ended: its last exception, or else its last line."""
    said = [line.strip() for line in lines if line.strip()]
    for index in reversed(range(len(said))):
        if _REASONS.match(said[index]):
            follows = _MESSAGE_FOLLOWS.match(said[index]) and index + 1 < len(said)
            return f"{said[index]} {said[index + 1]}" if follows else said[index]
    return (said or [""])[-1]
