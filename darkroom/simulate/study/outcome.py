"""What a setting is judged by: figures of one run, and their spread over runs with different seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil, inf
from statistics import median

from darkroom.simulate.engine import run
from darkroom.simulate.model import Scenario
from darkroom.simulate.result import Latencies, Result
from darkroom.simulate.study.objective import Objective
from darkroom.simulate.study.settings import Setting

Run = Callable[[Scenario], Result]


@dataclass(frozen=True, kw_only=True)
class Path:
    """The way of the traffic whose times count."""

    name: str
    """In Result.latencies: `service NAME` or `trigger NAME`."""
    service: str
    """The Service at its end."""
    offered: int
    """How many requests the traffic has."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The figures of one run."""

    p50_s: float
    p95_s: float
    p99_s: float
    within: float
    """The share of all offered requests that were done within the objective's time; refused ones are not."""
    at_share_s: float
    """The time within which the objective's share of all offered requests was done; infinite if it never was."""
    refused: int
    """Refused, timed out or dead-lettered."""
    unfinished: int
    pod_seconds: float
    """Of all Services of the scenario."""
    starts: int
    cold_requests: int
    """Requests that waited for an instance to start."""
    longest_queue: int
    most_pods: int

    @classmethod
    def of(cls, result: Result, path: Path, objective: Objective) -> Figures:
        latencies, service = result.latencies[path.name], result.services[path.service]
        flow = result.flows.get(path.name.removeprefix("trigger "))
        lost = 0 if flow is None else flow.dead_lettered + flow.lost
        refused = lost if flow is not None else service.refused + service.timed_out + service.failed
        done_in_time = latencies.share_within(objective.within_s) * latencies.count
        return cls(
            p50_s=latencies.percentile(50),
            p95_s=latencies.percentile(95),
            p99_s=latencies.percentile(99),
            within=done_in_time / path.offered if path.offered else 1.0,
            at_share_s=_at_share(latencies, path.offered, objective.share),
            refused=refused,
            unfinished=service.unfinished if flow is None else flow.unfinished,
            pod_seconds=result.pod_seconds,
            starts=service.starts,
            cold_requests=latencies.cold,
            longest_queue=service.longest_queue,
            most_pods=max(service.series.ready, default=0),
        )


def _at_share(latencies: Latencies, offered: int, share: float) -> float:
    rank = ceil(share * offered - 1e-9)
    return inf if rank > latencies.count else latencies.percentile(100 * rank / max(1, latencies.count))


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The median of several runs, and the least and the largest value."""

    middle: float
    low: float
    high: float


def confidence(runs: int) -> float:
    """Return with which probability the true median lies between the least and the largest of so many runs.

    Each run is below the median with one half, whatever the distribution is: 1 - 2 ** (1 - runs).
    """
    return 1 - 2.0 ** (1 - runs)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came out for one setting."""

    setting: Setting
    scenario: Scenario
    results: tuple[Result, ...]
    figures: tuple[Figures, ...]
    """Of each result."""
    objective: Objective

    def spread(self, name: str) -> Spread:
        values = [float(getattr(each, name)) for each in self.figures]
        return Spread(middle=median(values), low=min(values), high=max(values))

    @property
    def holds(self) -> bool:
        """Whether the objective holds in every run."""
        return all(each.within >= self.objective.share for each in self.figures)

    @property
    def typical(self) -> Result:
        """Return the run whose p95 is the median one, to be drawn."""
        order = sorted(range(len(self.results)), key=lambda place: self.figures[place].p95_s)
        return self.results[order[(len(order) - 1) // 2]]


def answer(
    setting: Setting,
    scenario: Scenario,
    *,
    path: Path,
    objective: Objective,
    seeds: Sequence[int],
    simulate: Run = run,
) -> Answer:
    """Simulate a setting once per seed."""
    results = tuple(simulate(replace(scenario, seed=seed)) for seed in seeds)
    return Answer(
        setting=setting,
        scenario=scenario,
        results=results,
        figures=tuple(Figures.of(result, path, objective) for result in results),
        objective=objective,
    )
