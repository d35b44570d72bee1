"""Observes the system while the load runs: backlog, instances and cold starts, every half second.

The source is either the local runtime's admin side (`/status` and `/events`), or any address that serves the metrics of
the catalog for Prometheus. Both become the same observations; parsing is pure, and `Observer` is the thread that polls.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from darkroom.telemetry import platform_metrics as metrics
from loadtests.errors import ObservationError

EVERY_S = 0.5
_ANSWER_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Observation:
    at: float
    """Seconds since the epoch."""
    backlog: int | None
    """Events waiting for the Trigger that is furthest behind; None: not known. Each Trigger sees every event of the
    Broker, including replies and events that its filter drops.
    """
    wanted: Mapping[str, int]
    """Instances by Service."""
    ready: Mapping[str, int]
    cold_starts: Mapping[str, int]
    """By Service, since the runtime's start; empty where each is known individually."""
    capped: frozenset[str] = frozenset()
    """Services that are refused instances by the local runtime's own limit, --max-instances."""


@dataclass(frozen=True, kw_only=True)
class ColdStart:
    at: float
    """When the instance was ready."""
    service: str
    took_s: float | None
    """Seconds from the spawn until it accepted connections; None: only the count is known."""


@dataclass(kw_only=True)
class Observed:
    """Everything that was observed in a run."""

    source: str
    observations: list[Observation] = field(default_factory=list)
    cold_starts: list[ColdStart] = field(default_factory=list)
    trouble: str | None = None
    """The last error that prevented an observation."""


class Source(Protocol):
    name: str
    address: str

    def look(self, at: float) -> tuple[Observation, Sequence[ColdStart]]:
        """Observe once. Raises ObservationError and httpx.HTTPError."""

    def close(self) -> None: ...


# --- the local runtime -----------------------------------------------------------------------------------------------


class LocalRuntime:
    name = "the local runtime"

    def __init__(self, admin_url: str) -> None:
        self.address = admin_url
        self._http = httpx.Client(base_url=admin_url, timeout=_ANSWER_S)
        self._seen: int | None = None

    def look(self, at: float) -> tuple[Observation, Sequence[ColdStart]]:
        observation = observation_of_status(self._http.get("/status").raise_for_status().json(), at)
        first = self._seen is None
        events: list[dict[str, Any]] = self._http.get("/events", params={"since": self._seen or 0}).json()
        self._seen = max((event["number"] for event in events), default=self._seen or 0)
        # Cold starts from before the run do not belong to it.
        return observation, [] if first else cold_starts_of_events(events)

    def close(self) -> None:
        self._http.close()


def observation_of_status(status: Mapping[str, Any], at: float) -> Observation:
    """Parse the status. Raises ObservationError for a document that is not a status."""
    try:
        functions = status["functions"]
        waiting = [row["backlog"] for row in status["triggers"]]
        return Observation(
            at=at,
            backlog=None if None in waiting else max(waiting, default=0),
            wanted={row["service"]: row["wanted"] for row in functions},
            ready={row["service"]: row["ready"] for row in functions},
            cold_starts={},
            capped=frozenset(row["service"] for row in functions if row["capped"]),
        )
    except (KeyError, TypeError) as exc:
        raise ObservationError(f"the runtime's status is not what it should be: {exc!r}") from exc


def cold_starts_of_events(events: Iterable[Mapping[str, Any]]) -> list[ColdStart]:
    return [
        ColdStart(at=event["at"], service=event["service"], took_s=event["ready_s"])
        for event in events
        if event["action"] == "instance.ready"
    ]


# --- anything that serves Prometheus ---------------------------------------------------------------------------------


class Metrics:
    def __init__(self, url: str) -> None:
        self.name = self.address = url
        self._http = httpx.Client(timeout=_ANSWER_S)
        self._started: Mapping[str, int] | None = None

    def look(self, at: float) -> tuple[Observation, Sequence[ColdStart]]:
        observation = observation_of_metrics(self._http.get(self.name).raise_for_status().text, at)
        before, self._started = self._started, observation.cold_starts
        if before is None:
            return observation, []
        return observation, [
            ColdStart(at=at, service=service, took_s=None)
            for service, count in observation.cold_starts.items()
            for _ in range(count - before.get(service, 0))
        ]

    def close(self) -> None:
        self._http.close()


def observation_of_metrics(text: str, at: float) -> Observation:
    """Parse Prometheus' text format. Raises ObservationError for anything else, or without a metric of ours."""
    samples = _samples(text)
    if not any(sample.name.startswith("darkroom_") for sample in samples):
        raise ObservationError(f"none of its {len(samples)} samples is a darkroom metric")
    instances = [
        (sample.labels["service"], sample.labels["state"], int(sample.value))
        for sample in samples
        if sample.name == metrics.INSTANCES.prometheus_name
    ]
    waiting = [sample.value for sample in samples if sample.name == metrics.TRIGGER_BACKLOG.prometheus_name]
    return Observation(
        at=at,
        backlog=int(max(waiting)) if waiting else None,
        wanted={service: count for service, state, count in instances if state == "wanted"},
        ready={service: count for service, state, count in instances if state == "ready"},
        cold_starts={
            sample.labels["service"]: int(sample.value)
            for sample in samples
            if sample.name == metrics.COLD_STARTS.prometheus_name
        },
    )


def _samples(text: str) -> list[Sample]:
    try:
        return [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    except (ValueError, IndexError) as exc:
        # The parser raises an IndexError for a line that has no value.
        raise ObservationError(f"not Prometheus' text format: {exc}; it begins with {text[:100]!r}") from exc


def check_source(source: Source) -> None:
    """Observe once, before the run. Raises ObservationError."""
    try:
        source.look(0.0)
    except httpx.HTTPError as exc:
        raise ObservationError(str(exc)) from exc


# --- polling ---------------------------------------------------------------------------------------------------------


class Observer:
    """Observes in the background between `start` and `stop`. An error is kept for the report, and does not end the
    run.
    """

    def __init__(self, source: Source, clock: Callable[[], float]) -> None:
        self.observed = Observed(source=source.name)
        self._source = source
        self._clock = clock
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="observer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2 * _ANSWER_S)
        self._source.close()

    def _run(self) -> None:
        while not self._stopped.wait(EVERY_S):
            try:
                observation, cold_starts = self._source.look(self._clock())
            except (ObservationError, httpx.HTTPError) as exc:
                self.observed.trouble = f"{self._source.name}: {exc}"
            else:
                self.observed.observations.append(observation)
                self.observed.cold_starts.extend(cold_starts)
