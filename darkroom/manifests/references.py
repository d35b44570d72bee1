"""Checks that every resource that the manifests refer to exists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set

from darkroom.manifests.core import ConfigMap
from darkroom.manifests.errors import Finding, suggestion
from darkroom.manifests.eventing import Broker, Delivery, PingSource, SinkBinding, Trigger
from darkroom.manifests.gateway import HTTPRoute
from darkroom.manifests.messaging import (
    Channel,
    InMemoryChannel,
    KafkaChannel,
    NatsJetStreamChannel,
    Parallel,
    Subscription,
)
from darkroom.manifests.messaging import Sequence as SequenceFlow
from darkroom.manifests.model import EVENTING, SERVING, Destination, Resource, ResourceKey
from darkroom.manifests.serving import Service
from darkroom.manifests.source import FieldPath

ReferenceAt = tuple[FieldPath, ResourceKey]
"""A field and the resource that it refers to."""


def unresolved(resources: Iterable[Resource], known: Set[ResourceKey]) -> Iterator[Finding]:
    """Yield a finding for each reference to a resource that is not among the known ones."""
    for resource in resources:
        for path, key in _references(resource):
            if key not in known:
                yield resource.document.finding(path, _message(key, known))


def _message(key: ResourceKey, known: Set[ResourceKey]) -> str:
    api_version, kind, namespace, name = key
    elsewhere = [k[2] for k in known if (k[0], k[1], k[3]) == (api_version, kind, name)]
    message = f"there is no {kind} {name!r} in the namespace {namespace!r}"
    if elsewhere:
        return f"{message}, only in {' and '.join(repr(other) for other in sorted(elsewhere))}"
    return message + suggestion(name, (k[3] for k in known if k[:3] == key[:3]))


def _references(resource: Resource) -> Iterator[ReferenceAt]:
    match resource:
        case Trigger():
            yield from _trigger_references(resource)
        case Broker():
            yield ("spec", "config", "name"), resource.spec.config.key(resource.namespace)
            yield from _delivery_reference(resource, resource.spec.delivery, ("spec",))
        case Channel() | InMemoryChannel() | NatsJetStreamChannel() | KafkaChannel():
            yield from _delivery_reference(resource, resource.spec.delivery, ("spec",))
        case Subscription():
            yield from _subscription_references(resource)
        case SequenceFlow():
            yield from _sequence_references(resource)
        case Parallel():
            yield from _parallel_references(resource)
        case PingSource():
            yield from _destination_reference(resource, resource.spec.sink, ("spec", "sink"))
        case SinkBinding():
            yield ("spec", "subject", "name"), resource.spec.subject.key(resource.namespace)
            yield from _destination_reference(resource, resource.spec.sink, ("spec", "sink"))
        case HTTPRoute():
            for index, rule in enumerate(resource.spec.rules):
                namespace, name = resource.knative_service(rule)
                path = ("spec", "rules", index, "backendRefs", 0, "name")
                yield path, (SERVING, "Service", namespace, name)
        case Service():
            yield from _service_references(resource)
        case _:
            pass


def _trigger_references(trigger: Trigger) -> Iterator[ReferenceAt]:
    spec = trigger.spec
    yield ("spec", "broker"), (EVENTING, "Broker", trigger.namespace, spec.broker)
    yield from _destination_reference(trigger, spec.subscriber, ("spec", "subscriber"))
    yield from _delivery_reference(trigger, spec.delivery, ("spec",))


def _subscription_references(subscription: Subscription) -> Iterator[ReferenceAt]:
    spec = subscription.spec
    yield ("spec", "channel", "name"), spec.channel.key(subscription.namespace)
    yield from _destination_reference(subscription, spec.subscriber, ("spec", "subscriber"))
    yield from _destination_reference(subscription, spec.reply, ("spec", "reply"))
    yield from _delivery_reference(subscription, spec.delivery, ("spec",))


def _sequence_references(sequence: SequenceFlow) -> Iterator[ReferenceAt]:
    for index, step in enumerate(sequence.spec.steps):
        yield from _destination_reference(sequence, step, ("spec", "steps", index))
        yield from _delivery_reference(sequence, step.delivery, ("spec", "steps", index))
    yield from _destination_reference(sequence, sequence.spec.reply, ("spec", "reply"))


def _parallel_references(parallel: Parallel) -> Iterator[ReferenceAt]:
    for index, branch in enumerate(parallel.spec.branches):
        path: FieldPath = ("spec", "branches", index)
        yield from _destination_reference(parallel, branch.filter, (*path, "filter"))
        yield from _destination_reference(parallel, branch.subscriber, (*path, "subscriber"))
        yield from _destination_reference(parallel, branch.reply, (*path, "reply"))
        yield from _delivery_reference(parallel, branch.delivery, path)
    yield from _destination_reference(parallel, parallel.spec.reply, ("spec", "reply"))


def _delivery_reference(resource: Resource, delivery: Delivery | None, path: FieldPath) -> Iterator[ReferenceAt]:
    if delivery is not None:
        yield from _destination_reference(resource, delivery.dead_letter_sink, (*path, "delivery", "deadLetterSink"))


def _destination_reference(
    resource: Resource, destination: Destination | None, path: FieldPath
) -> Iterator[ReferenceAt]:
    if destination is not None and destination.ref is not None:
        yield (*path, "ref", "name"), destination.ref.key(resource.namespace)


def _service_references(service: Service) -> Iterator[ReferenceAt]:
    container = service.spec.template.spec.container
    path: FieldPath = ("spec", "template", "spec", "containers", 0)
    for index, source in enumerate(container.env_from):
        if not source.config_map_ref.optional:
            yield (*path, "envFrom", index, "configMapRef", "name"), _config_map(service, source.config_map_ref.name)
    for index, variable in enumerate(container.env):
        key = variable.value_from.config_map_key_ref if variable.value_from else None
        if key is not None and not key.optional:
            yield (*path, "env", index, "valueFrom", "configMapKeyRef", "name"), _config_map(service, key.name)


def _config_map(service: Service, name: str) -> ResourceKey:
    return ("v1", ConfigMap.__name__, service.namespace, name)
