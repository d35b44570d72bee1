"""Reads moments as logs and tables write them: seconds or milliseconds since some beginning, or ISO 8601."""

from __future__ import annotations

from datetime import UTC, datetime
from math import isfinite

_MILLISECONDS_FROM = 1e11
"""A number above this is milliseconds since the epoch: in seconds it would be the year 5138."""


def parse_moment(text: str) -> float:
    """Convert `12.5`, `1767225600`, `1767225600123` or `2026-01-01T00:00:00Z` to seconds. Raises ValueError.

    A time without a zone is taken for UTC, because only differences count.
    """
    text = text.strip().strip('"')
    try:
        number = float(text)
    except ValueError:
        moment = datetime.fromisoformat(text)
        return moment.timestamp() if moment.tzinfo else moment.replace(tzinfo=UTC).timestamp()
    if not isfinite(number):
        raise ValueError(f"not a moment: {text!r}")
    return number / 1000 if number > _MILLISECONDS_FROM else number
