"""How often somebody may ask: the rate as it is written in settings, and what is told to whoever asked.

The fields are those of the IETF draft "RateLimit header fields for HTTP" (draft-ietf-httpapi-ratelimit-headers-10).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_PERIODS_S = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_RATE = re.compile(rf"([1-9]\d{{0,8}})/({'|'.join(_PERIODS_S)})")


@dataclass(frozen=True, kw_only=True)
class Rate:
    """`limit` requests in `period_s`, evenly refilled; all of them at once after a rest of the whole period."""

    limit: int
    period_s: int

    @classmethod
    def parse(cls, text: str) -> Rate | None:
        """`60/minute`; None for `off`. Raises ValueError."""
        if text == "off":
            return None
        match = _RATE.fullmatch(text)
        if match is None:
            raise ValueError(f'must be like "60/minute" (second, minute, hour or day), or "off"; was {text!r}')
        return cls(limit=int(match[1]), period_s=_PERIODS_S[match[2]])

    @property
    def interval_s(self) -> float:
        """The time between two requests that never rest."""
        return self.period_s / self.limit


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of one request under a rate."""

    admitted: bool
    remaining: int
    """How many more would be admitted at once."""
    reset_s: float
    """Until all of the rate is there again, if nobody asks meanwhile."""
    retry_after_s: float = 0.0
    """When refused: until the next one is admitted."""


def fields(policy: str, rate: Rate, verdict: Verdict) -> dict[str, str]:
    """The header fields that tell of the rate and of what is left of it."""
    return {
        "ratelimit-policy": f'"{policy}";q={rate.limit};w={rate.period_s}',
        "ratelimit": f'"{policy}";r={verdict.remaining};t={math.ceil(verdict.reset_s)}',
    }


def retry_after_s(verdict: Verdict) -> int:
    """Whole seconds, rounded up: whoever waits so long is admitted."""
    return max(1, math.ceil(verdict.retry_after_s))
