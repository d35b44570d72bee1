"""Counts what callers ask for, in jobs, requests or bytes: exactly, across all instances of a function."""

from __future__ import annotations

from typing import Protocol

from darkroom.contract.rates import Rate, RateDecision


class RateLimiter(Protocol):
    async def ask(self, bucket: str, rate: Rate, *, cost: int = 1, counts: bool = True) -> RateDecision:
        """Count `cost` units of this bucket, if the rate admits all of them; refused ones cost nothing.

        Without `counts` nothing is counted: the decision is what the same call would be answered now. More units than
        the rate's limit are never admitted.

        Raises DependencyUnavailableError("rates", ...).
        """

    async def close(self) -> None: ...
