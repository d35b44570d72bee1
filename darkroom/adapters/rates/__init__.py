"""Counts how often callers send requests, exactly, across all instances of a function."""

from __future__ import annotations

from typing import Protocol

from darkroom.contract.rates import Rate, RateDecision


class RateLimiter(Protocol):
    async def ask(self, bucket: str, rate: Rate) -> RateDecision:
        """Count one request of this bucket, if the rate admits it; a refused one costs nothing.

        Raises DependencyUnavailableError("rates", ...).
        """

    async def close(self) -> None: ...
