"""Rate limits: the rate as settings write it, and the header fields that report it to callers.

The fields are those of the IETF draft "RateLimit header fields for HTTP" (draft-ietf-httpapi-ratelimit-headers-10).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from darkroom.contract.sizes import parse_bytes

_PERIODS_S = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_RATE = re.compile(rf"([1-9]\d{{0,8}})/({'|'.join(_PERIODS_S)})")


@dataclass(frozen=True, kw_only=True)
class Rate:
    """`limit` units per `period_s`, refilled evenly; all of them are available at once after an idle period."""

    limit: int
    period_s: int
    unit: Literal["requests", "content-bytes"] = "requests"
    """The draft's quota unit. It has none for jobs, and most requests that are counted ask for one job."""

    @classmethod
    def parse(cls, text: str) -> Rate | None:
        """Parse `60/minute`; None for `off`. Raises ValueError."""
        if text == "off":
            return None
        match = _RATE.fullmatch(text)
        if match is None:
            raise ValueError(f'must be like "60/minute" (second, minute, hour or day), or "off"; was {text!r}')
        return cls(limit=int(match[1]), period_s=_PERIODS_S[match[2]])

    @classmethod
    def parse_of_bytes(cls, text: str) -> Rate | None:
        """Parse `256Mi/minute`; None for `off`. Raises ValueError."""
        if text == "off":
            return None
        size, _, period = text.partition("/")
        try:
            limit = parse_bytes(size)
        except ValueError:
            limit = 0
        if limit < 1 or period not in _PERIODS_S:
            raise ValueError(f'must be like "256Mi/minute" (second, minute, hour or day), or "off"; was {text!r}')
        return cls(limit=limit, period_s=_PERIODS_S[period], unit="content-bytes")

    @property
    def interval_s(self) -> float:
        """The time in which one unit is refilled."""
        return self.period_s / self.limit


@dataclass(frozen=True, kw_only=True)
class RateDecision:
    """Whether some units are admitted under a rate, and what is left of it."""

    admitted: bool
    remaining: int
    """How many more units would be admitted at once."""
    reset_s: float
    """Seconds until the full rate is available again, if nothing is counted meanwhile."""
    retry_after_s: float = 0.0
    """If refused: seconds until as many units are available."""


def fields(policy: str, rate: Rate, decision: RateDecision) -> dict[str, str]:
    """Return the header fields that report the rate and what is left of it."""
    unit = "" if rate.unit == "requests" else f';qu="{rate.unit}"'
    return {
        "ratelimit-policy": f'"{policy}";q={rate.limit};w={rate.period_s}{unit}',
        "ratelimit": f'"{policy}";r={decision.remaining};t={math.ceil(decision.reset_s)}',
    }


def joined_fields(all_fields: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Join the fields of several policies into lists (RFC 9651, section 3.1), in their order."""
    joined: dict[str, str] = {}
    for one in all_fields:
        for name, value in one.items():
            joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


def retry_after_s(decision: RateDecision) -> int:
    """Return whole seconds, rounded up, so that a caller who waits that long is admitted."""
    return max(1, math.ceil(decision.retry_after_s))
