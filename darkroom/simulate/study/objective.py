"""The objective that a setting is held to: which share of the requests must be done within which time."""

from __future__ import annotations

import re
from dataclasses import dataclass

from darkroom.events.durations import parse_go

_TEXT = re.compile(r"(?P<percent>\d+(?:\.\d+)?)\s*%\s*(?:<|within)\s*(?P<time>\S+)", re.ASCII)


class ObjectiveError(ValueError):
    """A text that is no objective."""


@dataclass(frozen=True, kw_only=True)
class Objective:
    share: float
    within_s: float

    @classmethod
    def parse(cls, text: str) -> Objective:
        """Parse `99.5%<10s` or `99.5% within 10s`. Raises ObjectiveError."""
        match = _TEXT.fullmatch(text.strip())
        try:
            percent, within_s = (0.0, 0.0) if match is None else (float(match["percent"]), parse_go(match["time"]))
        except ValueError as exc:
            raise ObjectiveError(f"the time of {text!r}: {exc}") from exc
        if not 0 < percent <= 100 or within_s <= 0:
            raise ObjectiveError(f'an objective reads like "99.5%<10s", was {text!r}')
        return cls(share=percent / 100, within_s=within_s)

    def __str__(self) -> str:
        return f"{self.share * 100:.6g}% within {self.within_s:g}s"
