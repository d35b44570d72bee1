"""What comes out of a simulation: series over time, counts, latencies, and the reason for each change of scale."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil, fsum

from darkroom.local.revisions.autoscaler.reasons import Reason


@dataclass(frozen=True, kw_only=True)
class ServiceSeries:
    """The state of a Service at each of `times_s`, which are `sample_s` apart and begin at 0."""

    times_s: Sequence[float]
    wanted: Sequence[int]
    """What the autoscaler has last decided."""
    ready: Sequence[int]
    starting: Sequence[int]
    draining: Sequence[int]
    """Instances that get no new requests and are not gone yet."""
    busy: Sequence[int]
    """Requests that instances have."""
    queue: Sequence[int]
    """Requests that the activator holds."""
    panicking: Sequence[bool]
    reasons: Sequence[str]
    """The code of the last decision's Reason."""


@dataclass(frozen=True, kw_only=True)
class Bend:
    """A decision that changed the number of wanted instances."""

    at_s: float
    before: int
    wanted: int
    reason: Reason


@dataclass(frozen=True, kw_only=True)
class ServiceResult:
    name: str
    series: ServiceSeries
    bends: tuple[Bend, ...]
    requests: int
    succeeded: int
    failed: int
    """Answered with the model's `failure_status`."""
    refused: int
    """Answered 503, because the activator's queue was full."""
    timed_out: int
    """Answered 504, or given up by the dispatcher, within the time that each allows."""
    unfinished: int
    starts: int
    """Instances started."""
    cold_requests: int
    """Requests that found no instance with room while one was starting, and waited."""
    pod_seconds: float
    """From each instance's start until it is gone, or until the end."""
    busy_seconds: float
    """Requests times seconds in instances."""
    longest_queue: int


@dataclass(frozen=True, kw_only=True)
class FlowResult:
    name: str
    events: int
    """Events that passed the Trigger's filter."""
    delivered: int
    """Delivery attempts."""
    retried: int
    succeeded: int
    dead_lettered: int
    lost: int
    unfinished: int
    backlog: Sequence[int]
    """Events that wait in the Broker or in the window, at each of the series' times."""
    longest_backlog: int


@dataclass(frozen=True, kw_only=True)
class Latencies:
    """The time from each arrival until its end: a direct request's answer, or an event's last ack."""

    path: str
    """The Service for direct requests, the Trigger for events."""
    arrived_s: Sequence[float] = field(repr=False)
    """When each of them arrived, in the order in which they ended."""
    seconds: Sequence[float] = field(repr=False)
    cold: int = 0
    """How many of them waited for an instance to start."""

    @property
    def count(self) -> int:
        return len(self.seconds)

    @property
    def mean_s(self) -> float:
        return fsum(self.seconds) / len(self.seconds) if self.seconds else 0.0

    @cached_property
    def _ordered(self) -> Sequence[float]:
        return sorted(self.seconds)

    def percentile(self, percent: float) -> float:
        """Return the nearest-rank percentile in seconds; 0 if nothing has ended."""
        ordered = self._ordered
        return ordered[max(0, ceil(len(ordered) * percent / 100) - 1)] if ordered else 0.0

    def share_within(self, seconds: float) -> float:
        """Return the share that took less than this; 1 if nothing has ended."""
        return bisect_left(self._ordered, seconds) / len(self._ordered) if self._ordered else 1.0


@dataclass(frozen=True, kw_only=True)
class Result:
    seed: int
    duration_s: float
    services: Mapping[str, ServiceResult]
    flows: Mapping[str, FlowResult]
    latencies: Mapping[str, Latencies]
    """By path: `service NAME` for direct requests, `trigger NAME` for events."""

    @property
    def pod_seconds(self) -> float:
        return fsum(service.pod_seconds for service in self.services.values())
