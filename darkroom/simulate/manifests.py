"""Makes the skeleton of a Scenario from manifests: its Services and flows.

Arrivals and measured times come from elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from darkroom.local.eventing.delivery import consumer_settings, delivery_of
from darkroom.local.eventing.destinations import ServiceTarget, cluster_url, locate
from darkroom.local.eventing.receivers import label_of
from darkroom.manifests import Broker, Destination, Manifests, Service, Trigger, with_namespace
from darkroom.manifests.revision import ServiceKey
from darkroom.simulate.model import Arrivals, Flow, Scenario, ServiceModel
from darkroom.simulate.window import Window

WindowOf = Callable[[Trigger, Service], Window | None]
"""Returns the application's window of a Trigger and its subscriber."""


def from_manifests(
    manifests: Manifests,
    *,
    duration_s: float,
    arrivals: Sequence[Arrivals] = (),
    windows: WindowOf = lambda trigger, service: None,
    **options: Any,
) -> Scenario:
    """Make a Scenario of all Services and Triggers, with default times; `options` are further fields of the Scenario.

    Replace the Services' times by measured ones, and add what they emit and reply (`dataclasses.replace`). Subscribers
    that are no Service of the manifests accept every event at once.
    """
    labels = service_labels(manifests)
    services = {(each.namespace, each.name): each for each in manifests.services}
    flows = [
        _flow(manifests, broker, trigger, labels, services, windows)
        for broker in manifests.brokers
        for trigger in manifests.triggers_of(broker)
    ]
    models = tuple(_service(service, labels[service.namespace, service.name]) for service in manifests.services)
    return Scenario(services=models, flows=tuple(flows), arrivals=tuple(arrivals), duration_s=duration_s, **options)


def service_labels(manifests: Manifests) -> Mapping[ServiceKey, str]:
    """Return how a Scenario names the manifests' Services: with the namespace only where the name is ambiguous."""
    names = Counter(service.name for service in manifests.services)
    return {
        (each.namespace, each.name): each.name if names[each.name] == 1 else f"{each.namespace}/{each.name}"
        for each in manifests.services
    }


def broker_name(broker: Broker) -> str:
    """Return how a Scenario names a Broker."""
    return f"{broker.namespace}/{broker.name}"


def _service(service: Service, label: str) -> ServiceModel:
    timeout_s = float(service.spec.template.spec.timeout_seconds)
    return ServiceModel(name=label, scaling=service.scaling, timeout_s=timeout_s)


def _flow(
    manifests: Manifests,
    broker: Broker,
    trigger: Trigger,
    labels: Mapping[ServiceKey, str],
    services: Mapping[ServiceKey, Service],
    windows: WindowOf,
) -> Flow:
    delivery = delivery_of(trigger, broker)
    subscriber = _key(with_namespace(trigger.spec.subscriber, trigger.namespace), labels)
    sink = None if delivery.dead_letter_sink is None else _key(delivery.dead_letter_sink, labels)
    return Flow(
        name=label_of(trigger, manifests.triggers),
        broker=broker_name(broker),
        trigger=trigger.spec,
        delivery=delivery,
        consumer=consumer_settings(delivery, manifests.channel(broker)),
        service=None if subscriber is None else labels[subscriber],
        dead_letter_service=None if sink is None else labels[sink],
        window=None if subscriber is None else windows(trigger, services[subscriber]),
    )


def _key(destination: Destination, labels: Mapping[ServiceKey, str]) -> ServiceKey | None:
    """Return the Service that a destination leads to; None if it leads elsewhere."""
    target = locate(cluster_url(destination), labels)
    return target.service if isinstance(target, ServiceTarget) else None
