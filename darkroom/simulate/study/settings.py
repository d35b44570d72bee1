"""Settings that are tried: values of annotations and of a few other fields, per Service, and their combinations.

A name is an annotation without its prefix (`max-scale`), `container-concurrency`, or `max-ack-pending`, which is the
Broker's throttle of the Trigger that feeds the Service.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from darkroom.manifests import autoscaling
from darkroom.manifests.errors import suggestion
from darkroom.manifests.model import FieldProblemsError
from darkroom.manifests.platform.limits import MAX_CONCURRENCY
from darkroom.manifests.platform.scaling import NAMES, PREFIX
from darkroom.simulate.model import Scenario, ServiceModel

CONCURRENCY, THROTTLE = "container-concurrency", "max-ack-pending"
_KNOWN = tuple(sorted({CONCURRENCY, THROTTLE, *(name for name in NAMES if name.islower())}))
_SET = re.compile(r"(?P<service>[^=]+)\.(?P<name>[A-Za-z-]+)=(?P<values>.+)")
MOST_SETTINGS = 500
"""Of one search; each is simulated several times."""


class SettingError(ValueError):
    """A setting that does not exist or is out of bounds. The message says what was expected."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """The values of one name that are tried."""

    service: str
    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One value per name. Empty: what the manifests say."""

    values: Mapping[tuple[str, str], str]
    """By Service and name."""

    @property
    def label(self) -> str:
        services = {service for service, _ in self.values}
        shown = [
            f"{name} {value}" if len(services) == 1 else f"{service}.{name} {value}"
            for (service, name), value in self.values.items()
        ]
        return ", ".join(shown) or "as in the manifests"

    def with_value(self, service: str, name: str, value: str) -> Setting:
        return Setting(values={**self.values, (service, name): value})


AS_IS = Setting(values={})


def parse_axis(text: str, services: Sequence[str]) -> Axis:
    """Parse `SERVICE.annotation=a,b,c`. Raises SettingError."""
    match = _SET.fullmatch(text)
    if match is None:
        raise SettingError(f"a setting reads like resize.max-scale=5,10, was {text!r}")
    service, name = match["service"].strip(), match["name"]
    if service not in services:
        raise SettingError(
            f"there is no Service {service!r}{suggestion(service, services)}; there are {_listed(services)}"
        )
    if name not in _KNOWN:
        raise SettingError(f"there is no setting {name!r}{suggestion(name, _KNOWN)}; there are {_listed(_KNOWN)}")
    values = tuple(dict.fromkeys(value.strip() for value in match["values"].split(",") if value.strip()))
    if not values:
        raise SettingError(f"{text!r} has no value")
    return Axis(service=service, name=name, values=values)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def combinations(axes: Sequence[Axis]) -> tuple[Setting, ...]:
    """Return every combination of the axes' values. Raises SettingError when there are too many."""
    count = 1
    for axis in axes:
        count *= len(axis.values)
    if count > MOST_SETTINGS:
        raise SettingError(f"these are {count} combinations, and at most {MOST_SETTINGS} are tried; give fewer values")
    names = [(axis.service, axis.name) for axis in axes]
    chosen = product(*(axis.values for axis in axes))
    return tuple(Setting(values=dict(zip(names, values, strict=True))) for values in chosen)


@dataclass(frozen=True, kw_only=True)
class Base:
    """What settings are applied to: the scenario of the manifests, and their annotations."""

    scenario: Scenario
    annotations: Mapping[str, Mapping[str, str]]
    """Those of each Service's template, with their prefix."""

    def apply(self, setting: Setting) -> Scenario:
        """Return the scenario with a setting. Raises SettingError for a value that Serving would refuse."""
        services = tuple(self._service(service, setting) for service in self.scenario.services)
        throttles = {service: value for (service, name), value in setting.values.items() if name == THROTTLE}
        flows = tuple(
            replace(flow, consumer=replace(flow.consumer, max_ack_pending=_whole(THROTTLE, throttles[flow.service], 1)))
            if flow.service in throttles
            else flow
            for flow in self.scenario.flows
        )
        return replace(self.scenario, services=services, flows=flows)

    def possible(self, settings: Iterable[Setting]) -> list[Setting]:
        """Return the settings without those whose values contradict each other, such as a min-scale above the
        max-scale. Raises SettingError for a value that is out of bounds by itself, and if nothing is left.
        """
        possible, refusal = [], SettingError("there is nothing to try")
        for setting in settings:
            try:
                self.apply(setting)
                possible.append(setting)
            except SettingError as exc:
                refusal = exc
                for (service, name), value in setting.values.items():
                    self.apply(Setting(values={(service, name): value}))
        if not possible:
            raise refusal
        return possible

    def value(self, service: str, name: str) -> str | None:
        """Return what the manifests say; None: the default applies."""
        if name == CONCURRENCY:
            return str(self.scenario.service(service).container_concurrency)
        if name == THROTTLE:
            flows = [flow for flow in self.scenario.flows if flow.service == service]
            return str(flows[0].consumer.max_ack_pending) if flows else None
        return self.annotations[service].get(PREFIX + name)

    def _service(self, service: ServiceModel, setting: Setting) -> ServiceModel:
        mine = {name: value for (owner, name), value in setting.values.items() if owner == service.name}
        if not mine:
            return service
        concurrency = _whole(CONCURRENCY, mine.pop(CONCURRENCY, str(service.container_concurrency)), 0, MAX_CONCURRENCY)
        mine.pop(THROTTLE, None)
        changed = {PREFIX + name: value for name, value in mine.items()}
        try:
            scaling = autoscaling.parse({**self.annotations[service.name], **changed}, concurrency)
        except FieldProblemsError as exc:
            problems = "; ".join(f"{path[-1]} {message}" for path, message in exc.problems)
            raise SettingError(f"{service.name}: {problems}") from exc
        return replace(service, scaling=replace(scaling, scale_to_zero_grace_s=service.scaling.scale_to_zero_grace_s))


def _whole(name: str, text: str, least: int, most: int = 100_000) -> int:
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise SettingError(f"{name} must be a whole number from {least} to {most}, was {text!r}")
    return int(text)
