"""What is simulated: Services, the flows of events between them, and the arrivals. `result` has what comes out.

All times are seconds since the beginning of the simulation. A Service is named as in reports: with the namespace before
its name only where the name is ambiguous.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from darkroom.local.eventing.delivery import ConsumerSettings, DeliverySpec
from darkroom.local.revisions.queueing import MAX_QUEUED
from darkroom.manifests.eventing import TriggerSpec
from darkroom.manifests.revision import ScalingConfig
from darkroom.simulate.distributions import CLUSTER_COLD_START, ColdStart, Distribution
from darkroom.simulate.errors import ScenarioError
from darkroom.simulate.window import Window


@dataclass(frozen=True, kw_only=True)
class Event:
    """An event that something emits: its attributes, as filters compare them."""

    attributes: Mapping[str, str]
    """At least `type`."""
    broker: str
    share: float = 1.0
    """How often there is one, from 0 to 1."""


class Target(StrEnum):
    """Where arrivals go."""

    SERVICE = "service"
    """HTTP requests to a Service."""
    BROKER = "broker"
    """Events to a Broker, and so to each Trigger whose filter they pass."""
    TRIGGER = "trigger"
    """Events to one Trigger, past its filter."""


@dataclass(frozen=True, kw_only=True)
class Arrivals:
    name: str
    """Unique; the Result counts by it."""
    kind: Target
    to: str
    """The name of the Service, Broker or Trigger."""
    times_s: Sequence[float]
    """In ascending order; `array('d')` takes the least memory."""
    sizes: Sequence[float] | None = None
    """The cost of each, relative to that of the service time's samples: 2.0 takes twice as long. None: all are 1.0."""
    owners: Sequence[str] | None = None
    """Whose each is, for windows that take turns between owners. None: all are one owner's."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Of the events that go to a Broker, as filters compare them."""


@dataclass(frozen=True, kw_only=True)
class ServiceModel:
    name: str
    scaling: ScalingConfig = field(default_factory=ScalingConfig)
    """The manifest's annotations and containerConcurrency, as the runtime reads them."""
    timeout_s: float = 300.0
    """`timeoutSeconds`, from the arrival at the activator; answered 504."""
    service_time: Distribution = field(default_factory=lambda: Distribution.constant(0.1))
    """How long an instance works on a request of size 1 when nothing slows it down."""
    cold_start: ColdStart = CLUSTER_COLD_START
    stop_s: float = 0.0
    """The time from the end of an instance's last request until it costs nothing any more."""
    hop_s: float = 0.0
    """Time of each request outside the instance: gateway, activator and network. It occupies no instance."""
    workers: int = 0
    """Requests that an instance works on at once; the others that it has wait inside it. 0: all of them."""
    cpu_fraction: float = 1.0
    """The part of the service time that is CPU time; only this part grows when the Scenario's `cores` are short."""
    failure_rate: float = 0.0
    """The share of requests that are answered with `failure_status`, from 0 to 1."""
    failure_status: int = 503
    max_queued: int = MAX_QUEUED
    """Requests that the activator holds; one more is answered 503."""
    emits: Event | None = None
    """What it sends to a Broker at the end of each direct HTTP request that succeeds, as ingest does."""

    @property
    def container_concurrency(self) -> int:
        return self.scaling.container_concurrency


@dataclass(frozen=True, kw_only=True)
class Flow:
    """A Trigger with its subscriber."""

    name: str
    """The Trigger's; unique."""
    broker: str
    trigger: TriggerSpec | None = None
    """Its filters decide which of the Broker's events it gets. None: all of them."""
    delivery: DeliverySpec = field(default_factory=DeliverySpec)
    consumer: ConsumerSettings
    """`consumer_settings` computes it from the delivery and the Broker's channel."""
    service: str | None
    """The subscriber; None: it is not simulated and accepts every event at once."""
    dead_letter_service: str | None = None
    """The Service that takes the dead letters, if the sink is one; another sink takes all of them at once."""
    reply: Event | None = None
    """What the subscriber answers to an event that it has handled."""
    hop_s: float = 0.0
    """From the event's storage in the Broker to the request, and again to the ack."""
    window: Window | None = None
    """The application's bound on the events that are with the Broker (see `window`). None: all of them are at once."""


@dataclass(frozen=True, kw_only=True)
class Platform:
    """How the platforms that run the same manifests differ."""

    name: str
    scale_to_zero_grace_s: float
    """How long the last instances are kept while the network switches to the activator."""
    uses_initial_scale: bool
    """Whether a new revision starts `initial-scale` instances, or only `min-scale`."""
    max_instances: int | None = None
    """The most instances beyond min-scale, of all Services together. None: no limit, as on a large cluster."""


CLUSTER = Platform(name="cluster", scale_to_zero_grace_s=0.0, uses_initial_scale=True)
"""Without a grace period, since by the default target-burst-capacity a small revision's activator is always in the path
(a real cluster with a window of 30 s was at zero 36 s after the last request of a burst)."""
LOCAL = Platform(name="local", scale_to_zero_grace_s=0.0, uses_initial_scale=False)


class Begin(StrEnum):
    """The state of the Services at the beginning."""

    IDLE = "idle"
    """Nothing has come for a long time: `min-scale` instances are ready."""
    DEPLOYED = "deployed"
    """They are deployed at this moment, and nothing is ready yet."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    services: tuple[ServiceModel, ...]
    flows: tuple[Flow, ...] = ()
    arrivals: tuple[Arrivals, ...] = ()
    duration_s: float
    """What is not done by then is counted as unfinished."""
    seed: int = 0
    platform: Platform = CLUSTER
    begin: Begin = Begin.IDLE
    cores: float | None = None
    """Cores of the one machine that everything runs on; None: nodes are added as they are needed."""
    nodes: int = 1
    """Nodes over which instances that start at the same time are spread (`ColdStart.growth`)."""
    timer_late_s: float = 0.0
    """How late the autoscaler's timer is, each time. Real timers are never early: where a period is over exactly at a
    decision, such as panic mode after its window, a real decision comes after it.
    """
    sample_s: float = 1.0
    """The interval of the Result's series."""

    def __post_init__(self) -> None:
        _check_references(self)

    def service(self, name: str) -> ServiceModel:
        return next(service for service in self.services if service.name == name)


def _check_references(scenario: Scenario) -> None:
    """Raise ScenarioError if something refers to what is not there, or a name is there twice."""
    services = {service.name for service in scenario.services}
    flows = {flow.name for flow in scenario.flows}
    brokers = {flow.broker for flow in scenario.flows}
    for kind, names, given in (
        ("Service", services, scenario.services),
        ("Trigger", flows, scenario.flows),
        ("arrivals", {each.name for each in scenario.arrivals}, scenario.arrivals),
    ):
        if len(names) < len(given):
            raise ScenarioError(f"two {kind} have the same name: {', '.join(sorted(each.name for each in given))}")
    for flow in scenario.flows:
        for name in (flow.service, flow.dead_letter_service):
            if name is not None and name not in services:
                raise ScenarioError(f"the Trigger {flow.name} refers to the Service {name}, which is not simulated")
    known = {Target.SERVICE: services, Target.BROKER: brokers, Target.TRIGGER: flows}
    for arrivals in scenario.arrivals:
        if arrivals.to not in known[arrivals.kind]:
            there = ", ".join(sorted(known[arrivals.kind])) or "none"
            raise ScenarioError(f"{arrivals.name} go to the {arrivals.kind} {arrivals.to}; there are {there}")
