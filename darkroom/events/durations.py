"""Parses durations to seconds in two notations: Go's (settings, annotations, streams) and ISO 8601 (delivery blocks).
Retention is given in Go's notation with days.

The parsers raise ValueError with the text and a valid example. The caller knows where the text came from.
"""

from __future__ import annotations

import re
from decimal import Decimal

# Go's time.ParseDuration: one or more decimal numbers, each with its unit.
_GO_UNIT_S = {
    "ns": Decimal("1e-9"),
    "us": Decimal("1e-6"),
    "µs": Decimal("1e-6"),
    "μs": Decimal("1e-6"),
    "ms": Decimal("1e-3"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
}
_GO_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_GO = re.compile(rf"[+-]?(?:0|(?:{_GO_PART.pattern})+)", re.ASCII)

_WITH_DAYS = re.compile(rf"(?:(?P<days>\d+(?:\.\d+)?)d)?(?P<rest>0|(?:{_GO_PART.pattern})+)?", re.ASCII)

# What a delivery block may use of ISO 8601, section 4.4.3: no years or months, whose length depends on the date.
_NUMBER = r"\d+(?:[.,]\d+)?"
_ISO = re.compile(
    rf"P(?:(?P<weeks>{_NUMBER})W)?(?:(?P<days>{_NUMBER})D)?"
    rf"(?:T(?=\d)(?:(?P<hours>{_NUMBER})H)?(?:(?P<minutes>{_NUMBER})M)?(?:(?P<seconds>{_NUMBER})S)?)?",
    re.ASCII,
)
_ISO_UNIT_S = {"weeks": 604800, "days": 86400, "hours": 3600, "minutes": 60, "seconds": 1}


def parse_go(text: str) -> float:
    """Convert `30s`, `1m30s`, `1.5h` or `0` to seconds. The result may be negative, as in Go. Raises ValueError."""
    if not _GO.fullmatch(text):
        raise ValueError(f"must be a Go duration such as 30s or 1m30s, was {text!r}")
    total = sum((Decimal(number) * _GO_UNIT_S[unit] for number, unit in _GO_PART.findall(text)), Decimal(0))
    return float(-total if text.startswith("-") else total)


def parse_days(text: str) -> float:
    """Convert `8d`, `1d12h` or a Go duration such as `168h` to seconds. Raises ValueError."""
    match = _WITH_DAYS.fullmatch(text)
    if not text or match is None:
        raise ValueError(f"must be a duration such as 8d, 168h or 30m, was {text!r}")
    return float(match["days"] or 0) * 86400 + parse_go(match["rest"] or "0")


def parse_retention(text: str) -> float | None:
    """Convert a duration with days to seconds, and `off`, which is for ever, to None. Raises ValueError."""
    return None if text == "off" else parse_days(text)


def parse_iso(text: str) -> float:
    """Convert `PT1.5S`, `PT1M30S` or `P1DT2H` to seconds. Raises ValueError."""
    match = _ISO.fullmatch(text)
    parts = {} if match is None else {unit: number for unit, number in match.groupdict().items() if number is not None}
    if not parts:
        raise ValueError(f"must be an ISO 8601 duration such as PT1S or PT1M30S, was {text!r}")
    total = sum((Decimal(number.replace(",", ".")) * _ISO_UNIT_S[unit] for unit, number in parts.items()), Decimal(0))
    return float(total)
