"""Turns manifests into what is simulated: the Services and Triggers, where the traffic goes, and the measured times."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from darkroom.manifests import Manifests, Service, load
from darkroom.manifests.errors import ManifestError, suggestion
from darkroom.manifests.platform.quantities import quantity
from darkroom.manifests.project import read_project
from darkroom.simulate import Arrivals, Flow, Platform, Scenario, ServiceModel, Target, from_manifests
from darkroom.simulate.manifests import WindowOf, service_labels
from darkroom.simulate.observed import Observed
from darkroom.simulate.observed.fitting import with_observed
from darkroom.simulate.study.outcome import Path as TrafficPath
from darkroom.simulate.study.settings import Base
from darkroom.simulate.traffic import Traffic

ASSUMED_CPU, ASSUMED_MEMORY_BYTES = 1.0, 512 * 2**20
"""Of a pod that requests nothing."""
TIMER_LATE_S = 0.002
"""Of a timer of the autoscaler, as on an idle machine."""


@dataclass(frozen=True, kw_only=True)
class Pod:
    """What a pod is paid for."""

    cpu: float
    memory_bytes: float
    is_assumed: bool = False


@dataclass(frozen=True, kw_only=True)
class Deployed:
    manifests: Manifests
    services: Mapping[str, Service]
    """By their names in a Scenario."""

    @property
    def annotations(self) -> Mapping[str, Mapping[str, str]]:
        return {name: service.spec.template.metadata.annotations for name, service in self.services.items()}

    def pods(self) -> Mapping[str, Pod]:
        return {name: _pod(service) for name, service in self.services.items()}


def read_manifests(paths: Sequence[Path]) -> Deployed:
    """Read the given manifests, or the project's. Raises click.ClickException."""
    try:
        manifests = load(list(paths) or read_project(Path()).manifests)
    except ManifestError as exc:
        raise click.ClickException(str(exc)) from exc
    services = {service_labels(manifests)[each.namespace, each.name]: each for each in manifests.services}
    if not services:
        raise click.ClickException("there is no Knative Service in these manifests; name a file or folder that has one")
    return Deployed(manifests=manifests, services=services)


def _pod(service: Service) -> Pod:
    containers = service.spec.template.spec.containers
    cpu = [each.resources.requests.cpu or each.resources.limits.cpu for each in containers]
    memory = [each.resources.requests.memory or each.resources.limits.memory for each in containers]
    return Pod(
        cpu=sum(ASSUMED_CPU if each is None else float(quantity(each)) for each in cpu),
        memory_bytes=sum(ASSUMED_MEMORY_BYTES if each is None else float(quantity(each)) for each in memory),
        is_assumed=None in (*cpu, *memory),
    )


# --- where the traffic goes ------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Entrance:
    """Where the traffic enters, and whose times count."""

    kind: Target
    to: str
    service: str

    def path(self, offered: int) -> TrafficPath:
        return TrafficPath(name=f"{self.kind} {self.to}", service=self.service, offered=offered)


def find_entrance(scenario: Scenario, wanted: str | None) -> Entrance:
    """Find the Trigger or Service of this name; by default the only one. Raises click.UsageError.

    Traffic to a Service that takes events from one Trigger enters at that Trigger.
    """
    flows = [flow for flow in scenario.flows if flow.service is not None]
    named = [flow for flow in flows if flow.name == wanted] or [flow for flow in flows if flow.service == wanted]
    if wanted is None:
        named = flows if len(flows) == 1 else []
    if len(named) == 1:
        return _of_trigger(named[0])
    services = [service.name for service in scenario.services]
    if wanted in services:
        if named:
            names = ", ".join(flow.name for flow in named)
            raise click.UsageError(f"{wanted} takes events from several Triggers: {names}; name one of them with --to")
        return Entrance(kind=Target.SERVICE, to=wanted, service=wanted)
    if wanted is None and len(services) == 1:
        return Entrance(kind=Target.SERVICE, to=services[0], service=services[0])
    there = list(dict.fromkeys([*(flow.name for flow in flows), *services]))
    if wanted is None:
        raise click.UsageError(f"say with --to where the traffic goes: {', '.join(there)}")
    raise click.UsageError(f"there is no {wanted!r}{suggestion(wanted, there)}; there are {', '.join(there)}")


def _of_trigger(flow: Flow) -> Entrance:
    return Entrance(kind=Target.TRIGGER, to=flow.name, service=str(flow.service))


# --- putting together ------------------------------------------------------------------------------------------------


def make_base(
    deployed: Deployed,
    entrance: Entrance,
    traffic: Traffic,
    *,
    times: Mapping[str, Observed],
    platform: Platform,
    cores: float | None,
    windows: WindowOf = lambda trigger, service: None,
) -> Base:
    """Make the scenario of one traffic: only what the traffic can reach. It ends when the instances that the last
    request kept have been given back.
    """
    duration_s = traffic.seconds + _settling_s(deployed.services[entrance.service], platform)
    scenario = from_manifests(
        deployed.manifests,
        duration_s=duration_s,
        windows=windows,
        platform=platform,
        cores=cores,
        sample_s=sample_interval_s(duration_s),
        timer_late_s=TIMER_LATE_S,
    )
    arrivals = Arrivals(
        name="traffic",
        kind=entrance.kind,
        to=entrance.to,
        times_s=array("d", traffic.arrivals_s),
        sizes=traffic.relative_sizes,
    )
    reached = _reached(scenario, entrance)
    services = tuple(
        _timed(service, times.get(service.name)) for service in scenario.services if service.name in reached
    )
    flows = tuple(flow for flow in scenario.flows if flow.name == entrance.to and entrance.kind is Target.TRIGGER)
    scenario = replace(scenario, services=services, flows=flows, arrivals=(arrivals,))
    return Base(scenario=scenario, annotations=deployed.annotations)


def _settling_s(service: Service, platform: Platform) -> float:
    scaling = service.scaling
    return scaling.window_s + max(platform.scale_to_zero_grace_s, scaling.retention_s) + scaling.scale_down_delay_s + 10


def sample_interval_s(duration_s: float) -> float:
    """Return an interval with which a series has at most a few thousand points."""
    return max(0.5, duration_s / 4000)


def _reached(scenario: Scenario, entrance: Entrance) -> set[str]:
    sinks = {flow.dead_letter_service for flow in scenario.flows if flow.name == entrance.to}
    return {entrance.service, *(sink for sink in sinks if sink is not None)}


def _timed(service: ServiceModel, observed: Observed | None) -> ServiceModel:
    return service if observed is None else with_observed(service, observed)
