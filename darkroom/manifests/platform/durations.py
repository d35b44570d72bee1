"""Durations of delivery blocks, as Knative Eventing reads them: rickb777/date's periods, which extend ISO 8601.

And what somebody meant who wrote a duration in another notation.
"""

from __future__ import annotations

import re

from darkroom.events.durations import parse_go

_PERIOD = re.compile(
    r"(?P<sign>[+-]?)P"
    r"(?:(?P<years>[\d.,]+)Y)?(?:(?P<months>[\d.,]+)M)?(?:(?P<weeks>[\d.,]+)W)?(?:(?P<days>[\d.,]+)D)?"
    r"(?P<time>T(?:(?P<hours>[\d.,]+)H)?(?:(?P<minutes>[\d.,]+)M)?(?:(?P<seconds>[\d.,]+)S)?)?",
    re.ASCII,
)
_MAX_DIGITS = 18
_PERIOD_SECONDS = {
    "years": 31_556_952,
    "months": 2_629_746,
    "weeks": 604_800,
    "days": 86_400,
    "hours": 3600,
    "minutes": 60,
    "seconds": 1,
}


def period_tenths(text: str) -> int | None:
    """The tenths of a second in a period, as Knative Eventing parses it; None if it cannot.

    Each number counts to its first decimal place: `PT0.05S` is 0. Years, months and a sign before the P are accepted.
    """
    if text == "P0":
        return 0
    match = _PERIOD.fullmatch(text)
    if match is None or not any(match[unit] for unit in _PERIOD_SECONDS):
        return None
    total = 0
    for unit, unit_s in _PERIOD_SECONDS.items():
        whole_part, _, decimals = (match[unit] or "0").replace(",", ".").partition(".")
        digits = f"{whole_part}{decimals[:1] or '0'}"
        # Longer numbers overflow in the library, too.
        if not digits.isdigit() or len(digits) > _MAX_DIGITS:
            return None
        total += int(digits) * unit_s
    return -total if match["sign"] == "-" else total


_PLAIN = re.compile(
    r"(\d{1,9})\s*(d|days?|w|weeks?|h|hrs?|hours?|m|mins?|minutes?|s|secs?|seconds?)", re.ASCII | re.IGNORECASE
)
_PLAIN_SECONDS = {"d": 86_400, "w": 604_800, "h": 3600, "m": 60, "s": 1}


def go_suggestion(text: str) -> str:
    """`; did you mean "24h"?` for `1 day` or `P1D`; empty if it is not clear what is meant."""
    meant_s = _seconds_meant(text)
    if not meant_s:
        return ""
    amount, unit = next(
        (meant_s // size, unit) for size, unit in ((3600, "h"), (60, "m"), (1, "s")) if meant_s % size == 0
    )
    return f'; did you mean "{amount}{unit}"?'


def period_suggestion(text: str) -> str:
    """`; did you mean "PT30S"?` for `30s`; empty if it is not clear what is meant."""
    suggested = go_suggestion(text).upper()
    return suggested.replace('; DID YOU MEAN "', '; did you mean "PT') if suggested else ""


def _seconds_meant(text: str) -> int | None:
    """The whole seconds of `1 day`, of a Go duration or of a period."""
    if match := _PLAIN.fullmatch(text.strip()):
        return int(match[1]) * _PLAIN_SECONDS[match[2][0].lower()]
    tenths = period_tenths(text)
    if tenths is None:
        try:
            tenths = int(parse_go(text) * 10)
        except ValueError:
            return None
    return tenths // 10 if tenths % 10 == 0 and tenths > 0 else None
