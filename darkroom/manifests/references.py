"""Finds what the manifests refer to, and leaves out what refers to something that does not run here.

What remains resolves: every reference in it leads to a resource in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set

from darkroom.manifests.core import ConfigMap
from darkroom.manifests.errors import suggestion
from darkroom.manifests.eventing import Broker, Delivery, PingSource, SinkBinding, Trigger
from darkroom.manifests.gateway import BackendReference, HTTPRoute, RouteRule
from darkroom.manifests.left_out import LeftOut, Note, record
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
from darkroom.manifests.serving import Service, Variable
from darkroom.manifests.source import FieldPath
from darkroom.manifests.workloads import KUBERNETES_SERVICE, Deployment, KubernetesService, PodVariable, key_of, matches

ReferenceAt = tuple[FieldPath, ResourceKey]
"""A field and the resource that it refers to."""


class Resolution:
    """The resources whose references resolve, after the others were left out one after the other."""

    def __init__(self, resources: Iterable[Resource], reasons: Mapping[ResourceKey, str]) -> None:
        """`reasons` says why resources that are not among these were left out."""
        self.resources = list(resources)
        self.left_out: list[LeftOut] = []
        self.notes: list[Note] = []
        self._reasons = dict(reasons)
        while self._leave_out_once():
            pass

    def _leave_out_once(self) -> bool:
        known = _known(self.resources)
        kept: list[Resource] = []
        for resource in self.resources:
            found = self._with_rules_that_resolve(resource, known) if isinstance(resource, HTTPRoute) else resource
            problem = None if found is None else self._problem(found, known)
            if found is not None and problem is None:
                kept.append(found)
                continue
            if problem is not None:
                self._leave_out(resource, *problem)
        is_smaller = len(kept) < len(self.resources)
        self.resources = kept
        return is_smaller

    def _leave_out(self, resource: Resource, path: FieldPath, reason: str) -> None:
        self._reasons[_key(resource)] = reason
        self.left_out.append(record(LeftOut, resource.document, path, reason))

    def _problem(self, resource: Resource, known: Set[ResourceKey]) -> tuple[FieldPath, str] | None:
        """Return the first thing without which a resource cannot run here."""
        for path, key in _references(resource):
            if key not in known:
                return path, self._message(key, known)
        if isinstance(resource, KubernetesService) and key_of(*_split(resource)) not in known:
            return ("spec", "selector"), "selects no Deployment that runs here"
        if isinstance(resource, SinkBinding) and not _subjects(resource, self.resources):
            return ("spec", "subject"), "selects no Service and no Deployment that runs here"
        return None

    def _message(self, key: ResourceKey, known: Set[ResourceKey]) -> str:
        _, kind, namespace, name = key
        reason = self._reasons.get(key)
        if reason is not None:
            return f"the {kind} {namespace}/{name} is left out"
        return _missing(key, known)

    # --- HTTPRoutes, rule by rule ------------------------------------------------------------------------------------

    def _with_rules_that_resolve(self, route: HTTPRoute, known: Set[ResourceKey]) -> HTTPRoute | None:
        """Return the route with the rules that lead to something here; None if there are none."""
        rules: list[RouteRule] = []
        for index, rule in enumerate(route.spec.rules):
            resolved = self._resolved_rule(route, rule, known)
            if resolved is not None:
                rules.append(resolved)
                self._note_split(route, rule, resolved, index)
                continue
            namespace, name = route.knative_service(rule)
            message = self._message((SERVING, "Service", namespace, name), known)
            path = ("spec", "rules", index, "backendRefs", 0, "name")
            self.left_out.append(record(LeftOut, route.document, path, f"rule {index + 1}: {message}"))
        if not rules:
            self._reasons[_key(route)] = "none of its rules leads to something that runs here"
            return None
        if rules == route.spec.rules:
            return route
        changed = route.model_copy(update={"spec": route.spec.model_copy(update={"rules": rules})})
        changed.attach_document(route.document)
        return changed

    def _resolved_rule(self, route: HTTPRoute, rule: RouteRule, known: Set[ResourceKey]) -> RouteRule | None:
        if rule.rewritten_hostname is not None and _is_known(route.knative_service(rule), known):
            return rule
        here = [each for each in rule.backend_refs if each.weight and _is_known(route.target(each), known)]
        if not here:
            return None
        return rule.model_copy(update={"backend_refs": [max(here, key=_weight)]})

    def _note_split(self, route: HTTPRoute, rule: RouteRule, resolved: RouteRule, index: int) -> None:
        if sum(1 for each in rule.backend_refs if each.weight) > 1 and len(resolved.backend_refs) == 1:
            message = (
                f"the local gateway does not split traffic: rule {index + 1} leads to {resolved.backend.name} alone"
            )
            self.notes.append(record(Note, route.document, ("spec", "rules", index, "backendRefs"), message))


def _weight(backend: BackendReference) -> int:
    return backend.weight


def _is_known(service: tuple[str, str], known: Set[ResourceKey]) -> bool:
    return (SERVING, "Service", *service) in known or (*KUBERNETES_SERVICE, *service) in known


# --- what there is ---------------------------------------------------------------------------------------------------


def backends(resources: Sequence[Resource]) -> dict[tuple[str, str], tuple[str, str]]:
    """Return for each Service of Kubernetes which workload answers under its name, both by namespace and name."""
    deployments = [each for each in resources if isinstance(each, Deployment)]
    found = {}
    for service in resources:
        if isinstance(service, KubernetesService):
            selected = next((each for each in deployments if service.selects(each)), None)
            if selected is not None:
                found[service.namespace, service.name] = (selected.namespace, selected.name)
    return found


def subjects(binding: SinkBinding, resources: Iterable[Resource]) -> list[tuple[str, str]]:
    """Return the namespaces and names of the workloads that a SinkBinding gives its sink to."""
    return [(each.namespace, each.name) for each in _subjects(binding, resources)]


def _subjects(binding: SinkBinding, resources: Iterable[Resource]) -> list[Resource]:
    subject = binding.spec.subject
    named = subject.key(binding.namespace)
    workloads = [each for each in resources if isinstance(each, Service | Deployment)]
    if named is not None:
        return [each for each in workloads if _key(each) == named]
    selector = subject.selector.match_labels if subject.selector is not None else {}
    namespace = subject.namespace or binding.namespace
    return [
        each
        for each in workloads
        if (each.api_version, each.kind, each.namespace) == (subject.api_version, subject.kind, namespace)
        and matches(selector, each.metadata.labels)
    ]


def _known(resources: Sequence[Resource]) -> set[ResourceKey]:
    """The keys of all resources. A Service of Kubernetes counts if something answers under its name."""
    known = {_key(each) for each in resources if not isinstance(each, KubernetesService)}
    known |= {key_of(KUBERNETES_SERVICE, *service) for service in backends(resources)}
    # Serving makes a Service of Kubernetes for each of its own.
    known |= {key_of(KUBERNETES_SERVICE, each.namespace, each.name) for each in resources if isinstance(each, Service)}
    return known


def _key(resource: Resource) -> ResourceKey:
    return (resource.api_version, resource.kind, resource.namespace, resource.name)


def _split(resource: Resource) -> tuple[tuple[str, str], str, str]:
    return (resource.api_version, resource.kind), resource.namespace, resource.name


def _missing(key: ResourceKey, known: Set[ResourceKey]) -> str:
    api_version, kind, namespace, name = key
    elsewhere = [k[2] for k in known if (k[0], k[1], k[3]) == (api_version, kind, name)]
    message = f"there is no {kind} {name!r} in the namespace {namespace!r}"
    if elsewhere:
        return f"{message}, only in {' and '.join(repr(other) for other in sorted(elsewhere))}"
    return message + suggestion(name, sorted(k[3] for k in known if k[:3] == key[:3]))


# --- what is referred to ---------------------------------------------------------------------------------------------


def _references(resource: Resource) -> Iterator[ReferenceAt]:
    match resource:
        case Trigger():
            yield from _trigger_references(resource)
        case Broker():
            if resource.config_map is not None:
                yield ("spec", "config", "name"), resource.config_map
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
            if (subject := resource.spec.subject.key(resource.namespace)) is not None:
                yield ("spec", "subject", "name"), subject
            yield from _destination_reference(resource, resource.spec.sink, ("spec", "sink"))
        case Service() | Deployment():
            yield from _container_references(resource)
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


def _container_references(workload: Service | Deployment) -> Iterator[ReferenceAt]:
    pod = workload.spec.template.spec
    container = pod.container
    path: FieldPath = ("spec", "template", "spec", "containers", pod.container_index)
    for index, source in enumerate(container.env_from):
        if source.config_map_ref is not None and not source.config_map_ref.optional:
            yield (*path, "envFrom", index, "configMapRef", "name"), _config_map(workload, source.config_map_ref.name)
    variables: Sequence[Variable | PodVariable] = container.env
    for index, variable in enumerate(variables):
        key = variable.value_from.config_map_key_ref if variable.value_from else None
        if key is not None and not key.optional:
            yield (*path, "env", index, "valueFrom", "configMapKeyRef", "name"), _config_map(workload, key.name)


def _config_map(resource: Resource, name: str) -> ResourceKey:
    return ("v1", ConfigMap.__name__, resource.namespace, name)
