"""The two ways Knative writes durations: Go's (`1m30s`, in settings and annotations) and ISO 8601's (`PT1M30S`, in
delivery blocks).
"""

from __future__ import annotations

import re

_GO_UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_GO_PART = r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)"
_GO = re.compile(rf"(?:{_GO_PART})+")
_ISO = re.compile(
    r"P(?:(?P<days>\d+(?:\.\d+)?)D)?"
    r"(?:T(?:(?P<hours>\d+(?:\.\d+)?)H)?(?:(?P<minutes>\d+(?:\.\d+)?)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?"
)
_ISO_UNITS_S = {"days": 86400.0, "hours": 3600.0, "minutes": 60.0, "seconds": 1.0}


def parse_go_duration_s(text: str) -> float:
    """Seconds of a Go duration that is not negative (time.ParseDuration); raises ValueError."""
    if text == "0":
        return 0.0
    if not _GO.fullmatch(text):
        raise ValueError(f'must be a duration like "30s" or "1m30s", was {text!r}')
    return sum(float(number) * _GO_UNITS_S[unit] for number, unit in re.findall(_GO_PART, text))


def parse_iso8601_duration_s(text: str) -> float:
    """Seconds of an ISO 8601 duration without years and months, whose length varies; raises ValueError."""
    match = _ISO.fullmatch(text)
    parts = {} if match is None else {unit: value for unit, value in match.groupdict().items() if value is not None}
    if not parts or text.endswith("T"):
        raise ValueError(f'must be an ISO 8601 duration like "PT1.5S", was {text!r}')
    return sum(float(value) * _ISO_UNITS_S[unit] for unit, value in parts.items())
