"""What pods cost, by the price file of `darkroom plan`: their requested CPU and memory while they are there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from darkroom.cli.simulate.deployment import Pod
from darkroom.planning.prices import Prices
from darkroom.simulate.result import Result
from darkroom.simulate.study.outcome import Answer

_HOUR_S, _DAY_S = 3600.0, 86400.0
_GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class PodPrices:
    label: str
    currency: str
    per_pod_second: Mapping[str, float]
    """By Service."""

    def of(self, result: Result) -> float:
        """Return what the pods of a run cost."""
        return sum(each.pod_seconds * self.per_pod_second[name] for name, each in result.services.items())

    def per_day(self, answer: Answer) -> float:
        """Return the price of a day on which this traffic repeats all the time; the median run's."""
        return median([self.of(each) / each.duration_s * _DAY_S for each in answer.results])

    def per_million(self, answer: Answer, offered: int) -> float:
        return median([self.of(each) for each in answer.results]) / offered * 1e6


def pod_prices(prices: Prices, pods: Mapping[str, Pod]) -> PodPrices:
    unit = prices.prices
    return PodPrices(
        label=prices.label,
        currency=prices.currency,
        per_pod_second={
            name: (pod.cpu * unit.cpu_core_hour + pod.memory_bytes / _GIB * unit.memory_gib_hour) / _HOUR_S
            for name, pod in pods.items()
        },
    )
