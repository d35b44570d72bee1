"""Durations of delivery blocks, as Knative Eventing reads them: rickb777/date's periods, which extend ISO 8601."""

from __future__ import annotations

import re

_PERIOD = re.compile(
    r"(?P<sign>[+-]?)P"
    r"(?:(?P<years>[\d.,]+)Y)?(?:(?P<months>[\d.,]+)M)?(?:(?P<weeks>[\d.,]+)W)?(?:(?P<days>[\d.,]+)D)?"
    r"(?P<time>T(?:(?P<hours>[\d.,]+)H)?(?:(?P<minutes>[\d.,]+)M)?(?:(?P<seconds>[\d.,]+)S)?)?",
    re.ASCII,
)
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
        if not digits.isdigit():
            return None
        total += int(digits) * unit_s
    return -total if match["sign"] == "-" else total
