"""Rate limits: the rate as settings write it, and the header fields that report it to callers.

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
    """`limit` requests per `period_s`, refilled evenly; all of them are available at once after an idle period."""

    limit: int
    period_s: int

    @classmethod
    def parse(cls, text: str) -> Rate | None:
        """Parse `60/minute`; None for `off`. Raises ValueError."""
        if text == "off":
            return None
        match = _RATE.fullmatch(text)
        if match is None:
            raise ValueError(f'must be like "60/minute" (second, minute, hour or day), or "off"; was {text!r}')
        return cls(limit=int(match[1]), period_s=_PERIODS_S[match[2]])

    @property
    def interval_s(self) -> float:
        """The time between two requests at the full rate."""
        return self.period_s / self.limit


@dataclass(frozen=True, kw_only=True)
class RateDecision:
    """Whether one request is admitted under a rate, and what is left of it."""

    admitted: bool
    remaining: int
    """How many more requests would be admitted at once."""
    reset_s: float
    """Seconds until the full rate is available again, if no request arrives meanwhile."""
    retry_after_s: float = 0.0
    """For a refused request: seconds until the next one is admitted."""


def fields(policy: str, rate: Rate, decision: RateDecision) -> dict[str, str]:
    """Return the header fields that report the rate and what is left of it."""
    return {
        "ratelimit-policy": f'"{policy}";q={rate.limit};w={rate.period_s}',
        "ratelimit": f'"{policy}";r={decision.remaining};t={math.ceil(decision.reset_s)}',
    }


def retry_after_s(decision: RateDecision) -> int:
    """Return whole seconds, rounded up, so that a caller who waits that long is admitted."""
    return max(1, math.ceil(decision.retry_after_s))
