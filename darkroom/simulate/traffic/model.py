"""What every source of traffic becomes: arrival times from zero, and where known the size of each request."""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

MOST_ARRIVALS = 5_000_000
"""More than this fits neither a screen nor, as Python objects, a laptop's memory."""


class TrafficError(ValueError):
    """Traffic that cannot be read. The message names the line or field, and what was expected."""


@dataclass(frozen=True, kw_only=True)
class Traffic:
    source: str
    """Where it comes from, for the head of a page."""
    arrivals_s: Sequence[float]
    """When each request arrives, in seconds after the beginning, in order."""
    sizes: Sequence[float] = ()
    """Bytes of each request, or its cost in any other unit, in the same order; empty: not known."""
    span_s: float | None = None
    """How long it was observed; None: until the last arrival."""

    @property
    def seconds(self) -> float:
        last = self.arrivals_s[-1] if self.arrivals_s else 0.0
        return last if self.span_s is None else max(self.span_s, last)

    @property
    def per_s(self) -> float:
        """Return the average rate."""
        return len(self.arrivals_s) / self.seconds if self.seconds else 0.0

    @property
    def relative_sizes(self) -> Sequence[float] | None:
        """Return each request's size relative to the average one; None if they are not known."""
        if not self.sizes or not sum(self.sizes):
            return None
        average = sum(self.sizes) / len(self.sizes)
        return array("d", (size / average for size in self.sizes))


def traffic_of(requests: Iterable[tuple[float, int | None]], *, source: str, span_s: float | None = None) -> Traffic:
    """Make traffic of times and sizes in any order, which begins with the first of them. Sizes count only if every
    request has one. Raises TrafficError when there is no request, or more than MOST_ARRIVALS.
    """
    ordered = sorted(requests, key=lambda request: request[0])
    if not ordered:
        raise TrafficError(f"{source} has no request")
    if len(ordered) > MOST_ARRIVALS:
        raise TrafficError(f"{source} has {len(ordered):,} requests, and at most {MOST_ARRIVALS:,} can be simulated")
    began = ordered[0][0]
    sizes = tuple(size for _, size in ordered if size is not None)
    return Traffic(
        source=source,
        arrivals_s=tuple(at - began for at, _ in ordered),
        sizes=sizes if len(sizes) == len(ordered) else (),
        span_s=span_s,
    )


def traffic_of_rates(rates: Sequence[tuple[float, float]], *, source: str, seed: int) -> Traffic:
    """Make traffic of a rate over time (seconds, requests per second): each rate holds until the next point.

    A rate says how many came and not when. So the arrivals are a Poisson process with this rate, drawn from the seed:
    independent users arrive like that. Raises TrafficError.
    """
    if len(rates) < 2:
        raise TrafficError(f"{source} has {len(rates)} points; a rate over time needs two at least")
    began, last = rates[0][0], rates[-1][0]
    step_s = (last - began) / (len(rates) - 1)
    ends = [*(at for at, _ in rates[1:]), last + step_s]
    expected = sum(rate * (end - at) for (at, rate), end in zip(rates, ends, strict=True))
    if expected > MOST_ARRIVALS:
        raise TrafficError(f"{source} has {expected:,.0f} requests, and at most {MOST_ARRIVALS:,} can be simulated")
    draw = random.Random(seed)  # noqa: S311 - a load, not a secret
    arrivals = tuple(
        arrival - began
        for (at, rate), end in zip(rates, ends, strict=True)
        for arrival in _poisson(draw, at, end, rate)
    )
    if not arrivals:
        raise TrafficError(f"{source} has a rate of 0 all the time")
    return Traffic(source=source, arrivals_s=arrivals, span_s=last + step_s - began)


def _poisson(draw: random.Random, began: float, ended: float, rate: float) -> Iterator[float]:
    if rate <= 0:
        return
    at = began + draw.expovariate(rate)
    while at < ended:
        yield at
        at += draw.expovariate(rate)
