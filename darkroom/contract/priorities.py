"""The Priority field of HTTP requests, RFC 9218: how urgent the answer is. Only one urgency matters here."""

from __future__ import annotations

import re
from collections.abc import Sequence

BACKGROUND_PRIORITY = "u=7"
"""The urgency of background tasks (RFC 9218, section 4.1)."""
_URGENCY = re.compile(r"u=([0-7])(?![\w.-])")


def is_background(values: Sequence[str]) -> bool:
    """Return whether the fields with these values ask for background work.

    The last value of a member counts (RFC 8941, section 3.2). What is not understood is no error: it is a hint.
    """
    members = [member.strip() for value in values for member in value.split(",")]
    urgencies = [match[1] for member in members if (match := _URGENCY.match(member))]
    return urgencies[-1:] == ["7"]
