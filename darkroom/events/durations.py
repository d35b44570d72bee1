"""The two notations of durations, to seconds: Go's (settings, annotations, streams) and ISO 8601 (delivery blocks).

Both raise ValueError with the text and what a right one looks like; where it stood is the caller's knowledge.
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

# ISO 8601, section 4.4.3, as far as a delivery block may use it: no years and months, whose length depends on the date.
_NUMBER = r"\d+(?:[.,]\d+)?"
_ISO = re.compile(
    rf"P(?:(?P<weeks>{_NUMBER})W)?(?:(?P<days>{_NUMBER})D)?"
    rf"(?:T(?=\d)(?:(?P<hours>{_NUMBER})H)?(?:(?P<minutes>{_NUMBER})M)?(?:(?P<seconds>{_NUMBER})S)?)?",
    re.ASCII,
)
_ISO_UNIT_S = {"weeks": 604800, "days": 86400, "hours": 3600, "minutes": 60, "seconds": 1}


def parse_go(text: str) -> float:
    """Seconds of `30s`, `1m30s`, `1.5h`, `0`. May be negative, as Go's may."""
    if not _GO.fullmatch(text):
        raise ValueError(f"must be a Go duration such as 30s or 1m30s, was {text!r}")
    total = sum((Decimal(number) * _GO_UNIT_S[unit] for number, unit in _GO_PART.findall(text)), Decimal(0))
    return float(-total if text.startswith("-") else total)


def parse_iso(text: str) -> float:
    """Seconds of `PT1.5S`, `PT1M30S`, `P1DT2H`."""
    match = _ISO.fullmatch(text)
    parts = {} if match is None else {unit: number for unit, number in match.groupdict().items() if number is not None}
    if not parts:
        raise ValueError(f"must be an ISO 8601 duration such as PT1S or PT1M30S, was {text!r}")
    total = sum((Decimal(number.replace(",", ".")) * _ISO_UNIT_S[unit] for unit, number in parts.items()), Decimal(0))
    return float(total)
