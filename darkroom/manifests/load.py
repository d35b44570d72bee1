"""Loads manifests from paths: reads, parses and cross-checks them, and reports all errors at once.

What a cluster refuses is an error, as in `darkroom check`. What the local runtime does not run is left out by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from darkroom.manifests import messaging
from darkroom.manifests.channel import ChannelManifest, ChannelTemplate
from darkroom.manifests.core import ConfigMap, Namespace, Secret, ServiceAccount
from darkroom.manifests.errors import Finding, ManifestError, suggestion
from darkroom.manifests.eventing import Broker, PingSource, SinkBinding, Trigger
from darkroom.manifests.files import Files
from darkroom.manifests.gateway import HTTPRoute
from darkroom.manifests.ignored_kinds import is_unneeded, reason_of
from darkroom.manifests.left_out import LeftOut, Note, record, refused_if_strict
from darkroom.manifests.model import Resource, ResourceKey
from darkroom.manifests.parsing import Parsed, parse_leniently
from darkroom.manifests.platform.bundle import Bundle, unpacked
from darkroom.manifests.platform.limits import CHANNEL_TEMPLATE_KEYS
from darkroom.manifests.platform.refusals import STOPPING_LOSSES, losses, refusals
from darkroom.manifests.references import Resolution, backends
from darkroom.manifests.revision import ServiceKey
from darkroom.manifests.serving import Service
from darkroom.manifests.source import Document, FieldPath, dotted
from darkroom.manifests.source import parse as parse_yaml
from darkroom.manifests.workloads import Deployment, KubernetesService

KINDS: Mapping[tuple[str, str], type[Resource]] = {
    ("serving.knative.dev/v1", "Service"): Service,
    ("eventing.knative.dev/v1", "Broker"): Broker,
    ("eventing.knative.dev/v1", "Trigger"): Trigger,
    (messaging.MESSAGING, "Channel"): messaging.Channel,
    (messaging.MESSAGING, "InMemoryChannel"): messaging.InMemoryChannel,
    (messaging.JETSTREAM, "NatsJetStreamChannel"): messaging.NatsJetStreamChannel,
    **{(version, "KafkaChannel"): messaging.KafkaChannel for version in messaging.KAFKA_VERSIONS},
    (messaging.MESSAGING, "Subscription"): messaging.Subscription,
    (messaging.FLOWS, "Sequence"): messaging.Sequence,
    (messaging.FLOWS, "Parallel"): messaging.Parallel,
    ("sources.knative.dev/v1", "PingSource"): PingSource,
    ("sources.knative.dev/v1beta2", "PingSource"): PingSource,
    ("sources.knative.dev/v1", "SinkBinding"): SinkBinding,
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): HTTPRoute,
    ("gateway.networking.k8s.io/v1beta1", "HTTPRoute"): HTTPRoute,
    ("apps/v1", "Deployment"): Deployment,
    ("v1", "Service"): KubernetesService,
    ("v1", "ConfigMap"): ConfigMap,
    ("v1", "Secret"): Secret,
    ("v1", "Namespace"): Namespace,
    ("v1", "ServiceAccount"): ServiceAccount,
}

ResourceT = TypeVar("ResourceT", bound=Resource)


@dataclass(frozen=True, kw_only=True)
class Manifests:
    """Loaded manifests, in the order of the files. Every reference in them resolves."""

    services: tuple[Service, ...]
    brokers: tuple[Broker, ...]
    triggers: tuple[Trigger, ...]
    ping_sources: tuple[PingSource, ...]
    sink_bindings: tuple[SinkBinding, ...]
    routes: tuple[HTTPRoute, ...]
    config_maps: tuple[ConfigMap, ...]
    channels: Mapping[tuple[str, str], ChannelTemplate]
    """Keyed by namespace and name of the Broker."""
    files: tuple[Path, ...]
    """Every file that was read: a change to any of them may change the manifests."""
    deployments: tuple[Deployment, ...] = ()
    secrets: tuple[Secret, ...] = ()
    backends: Mapping[ServiceKey, ServiceKey] = field(default_factory=dict)
    """For each Service of Kubernetes the Deployment that answers under its name, both by namespace and name."""
    left_out: tuple[LeftOut, ...] = ()
    """What is not run here, in the order of the files."""
    notes: tuple[Note, ...] = ()
    """What is ignored of what runs, or runs otherwise than on a cluster."""
    resources: tuple[Resource, ...] = ()
    """All of the above resources, and those that need nothing to run."""
    messaging_channels: tuple[messaging.AnyChannel, ...] = ()
    subscriptions: tuple[messaging.Subscription, ...] = ()
    sequences: tuple[messaging.Sequence, ...] = ()
    parallels: tuple[messaging.Parallel, ...] = ()

    def channel(self, broker: Broker) -> ChannelTemplate:
        return self.channels[broker.namespace, broker.name]

    def triggers_of(self, broker: Broker) -> tuple[Trigger, ...]:
        return tuple(t for t in self.triggers if (t.namespace, t.spec.broker) == (broker.namespace, broker.name))

    def config_map(self, namespace: str, name: str) -> ConfigMap | None:
        return next((c for c in self.config_maps if (c.namespace, c.name) == (namespace, name)), None)

    def secret(self, namespace: str, name: str) -> Secret | None:
        return next((s for s in self.secrets if (s.namespace, s.name) == (namespace, name)), None)

    @property
    def workloads(self) -> tuple[Service | Deployment, ...]:
        """Everything that runs as processes."""
        return (*self.services, *self.deployments)

    @property
    def runs_something(self) -> bool:
        flows = (*self.messaging_channels, *self.sequences, *self.parallels)
        return bool(self.workloads or self.brokers or flows or self.ping_sources or self.routes)

    def without(self, unrunnable: Mapping[ResourceKey, LeftOut]) -> Manifests:
        """Return the manifests without some resources, and without all that refers to them."""
        if not unrunnable:
            return self
        kept = [each for each in self.resources if _key(each) not in unrunnable]
        resolution = Resolution(kept, {key: each.reason for key, each in unrunnable.items()})
        return _manifests(
            resolution.resources,
            channels=self.channels,
            files=self.files,
            left_out=[*self.left_out, *unrunnable.values(), *resolution.left_out],
            notes=[*self.notes, *resolution.notes],
        )


def load(paths: Sequence[Path], *, strict: bool = False) -> Manifests:
    """Load manifests from files and directories, with or without a kustomization.

    Raises ManifestError with all findings; with `strict`, what would be left out is a finding too, if that matters.
    """
    files = Files()
    files.add_all(paths)
    documents = [each for document in files.documents for each in unpacked(document)]
    loading = _Loading(documents, files.findings, files.left_out)
    manifests = _manifests(
        loading.resolution.resources,
        channels=loading.channels,
        files=files.read,
        left_out=loading.left_out,
        notes=loading.notes,
    )
    findings = loading.findings
    if strict and not findings:
        findings = refused_if_strict(manifests.left_out)
    if findings:
        raise ManifestError(findings)
    return manifests


def _manifests(
    resources: Sequence[Resource],
    *,
    channels: Mapping[tuple[str, str], ChannelTemplate],
    files: Sequence[Path],
    left_out: Iterable[LeftOut],
    notes: Iterable[Note],
) -> Manifests:
    return Manifests(
        services=_of_kind(resources, Service),
        brokers=_of_kind(resources, Broker),
        triggers=_of_kind(resources, Trigger),
        ping_sources=_of_kind(resources, PingSource),
        sink_bindings=_of_kind(resources, SinkBinding),
        routes=_of_kind(resources, HTTPRoute),
        config_maps=_of_kind(resources, ConfigMap),
        channels=channels,
        files=tuple(files),
        deployments=_of_kind(resources, Deployment),
        secrets=_of_kind(resources, Secret),
        backends=backends(resources),
        left_out=tuple(left_out),
        notes=tuple(notes),
        resources=tuple(resources),
        messaging_channels=tuple(each for each in resources if isinstance(each, messaging.AnyChannel)),
        subscriptions=_of_kind(resources, messaging.Subscription),
        sequences=_of_kind(resources, messaging.Sequence),
        parallels=_of_kind(resources, messaging.Parallel),
    )


def _of_kind(resources: Iterable[Resource], kind: type[ResourceT]) -> tuple[ResourceT, ...]:
    return tuple(resource for resource in resources if isinstance(resource, kind))


def _key(resource: Resource) -> ResourceKey:
    return (resource.api_version, resource.kind, resource.namespace, resource.name)


class _Loading:
    """What becomes of the documents: resources, errors, and what is left out."""

    def __init__(self, documents: Sequence[Document], findings: Sequence[Finding], left_out: Sequence[LeftOut]) -> None:
        self.findings = list(findings)
        self.left_out = list(left_out)
        self.notes: list[Note] = []
        self.channels: dict[tuple[str, str], ChannelTemplate] = {}
        known = [(document, model) for document in documents if (model := self._model_of(document)) is not None]
        # Of kinds that do not run here, only Knative's and the Gateway API's are held against a cluster's webhooks.
        judged = {id(document) for document, _ in known} | {id(each) for each in documents if _is_of_knative(each)}
        bundle, skipped = Bundle(documents), {id(document) for document in documents} - judged
        refused = [*refusals(bundle, skipped, judged - {id(document) for document, _ in known})]
        lost = [*losses(bundle, skipped)]
        refused += [finding for name, finding in lost if name in STOPPING_LOSSES]
        # What the models refuse is an error where the linter has one too, on the same line.
        self._lines = {(each.file, each.line) for each in [*refused, *(finding for _, finding in lost)]}
        resources = [each for document, model in known if (each := self._parsed(document, model)) is not None]
        resources = self._with_channels(self._without_clashes(resources))
        reported = {(each.file, each.line) for each in self.findings}
        self.findings += [each for each in refused if (each.file, each.line) not in reported]
        self.resolution = Resolution(resources, self._reasons)
        self.left_out = sorted([*self.left_out, *self.resolution.left_out])
        self._note_all()

    # --- documents to resources --------------------------------------------------------------------------------------

    def _model_of(self, document: Document) -> type[Resource] | None:
        """Return the model of a document's kind. A document that is left out or has no kind has none."""
        data = document.data
        api_version, kind = data.get("apiVersion"), data.get("kind")
        if not isinstance(api_version, str) or not isinstance(kind, str):
            for name in ("apiVersion", "kind"):
                if not isinstance(data.get(name), str):
                    message = "is missing" if name not in data else "must be a string"
                    self.findings.append(document.finding((name,), message))
            return None
        model = KINDS.get((api_version, kind))
        if model is None:
            matters = not is_unneeded(api_version, kind)
            self._leave_out(document, ("kind",), _unknown_kind(api_version, kind), matters=matters)
        elif _is_nameless(data):
            reason = "has generateName and no name; a name that is made up cannot be referred to"
            self._leave_out(document, ("metadata",), reason)
            return None
        return model

    def _leave_out(self, document: Document, path: FieldPath, reason: str, *, matters: bool = True) -> None:
        self.left_out.append(replace(record(LeftOut, document, path, reason), matters=matters))

    def _parsed(self, document: Document, model: type[Resource]) -> Resource | None:
        parsed = self._parse(model, document)
        if model is HTTPRoute and parsed.model is None:
            document, parsed = self._without_rules(document, parsed)
        self.findings += parsed.refused
        self._note(document, parsed)
        if parsed.model is None:
            if not parsed.refused:
                path, message = parsed.limitations[0]
                self._leave_out(document, path, _at(path, message))
            return None
        parsed.model.attach_document(document)
        return parsed.model

    def _parse(self, model: type[Resource], document: Document) -> Parsed[Resource]:
        return parse_leniently(model, document, lambda line: (document.file, line) in self._lines)

    def _note(self, document: Document, parsed: Parsed[Resource]) -> None:
        self.notes += [record(Note, document, path, message) for path, message in parsed.ignored]

    def _without_rules(self, document: Document, parsed: Parsed[Resource]) -> tuple[Document, Parsed[Resource]]:
        """Parse an HTTPRoute again without the rules that the local gateway cannot follow, if any others remain."""
        unusable: dict[int, tuple[FieldPath, str]] = {}
        for path, message in parsed.limitations:
            if path[:2] != ("spec", "rules") or len(path) < 3 or not isinstance(path[2], int):
                return document, parsed
            unusable.setdefault(path[2], (path, message))
        if parsed.refused or not unusable or len(unusable) >= len(document.data["spec"]["rules"]):
            return document, parsed
        for index, (path, message) in unusable.items():
            self._leave_out(document, path, f"rule {index + 1}: {_at(path[3:], message)}")
        remaining = document.without_items(("spec", "rules"), unusable)
        return self._without_rules(remaining, self._parse(HTTPRoute, remaining))

    def _without_clashes(self, resources: list[Resource]) -> list[Resource]:
        """Leave out Deployments that have the name of a Knative Service, since both would be called by it."""
        taken = {(each.namespace, each.name) for each in resources if isinstance(each, Service)}
        kept = []
        for each in resources:
            if isinstance(each, Deployment) and (each.namespace, each.name) in taken:
                self._leave_out(each.document, ("metadata", "name"), "a Knative Service of the same name runs here")
            else:
                kept.append(each)
        return kept

    @property
    def _reasons(self) -> dict[ResourceKey, str]:
        """Why resources are left out, by the keys under which others may refer to them."""
        return {
            (api_version, each.kind, each.namespace, each.name): each.reason
            for each in self.left_out
            for api_version, kind in KINDS
            if kind == each.kind
        }

    def _note_all(self) -> None:
        """Note what the resources that run do otherwise here, without what is said of those that are left out."""
        run = {(each.document.file, each.kind, each.namespace, each.name) for each in self.resolution.resources}
        notes = [each for each in self.notes if (each.file, each.kind, each.namespace, each.name) in run]
        for resource in self.resolution.resources:
            notes += [record(Note, resource.document, path, text) for path, text in resource.local_notes()]
        self.notes = sorted([*notes, *self.resolution.notes])

    # --- the channels behind the Brokers -----------------------------------------------------------------------------

    def _with_channels(self, resources: list[Resource]) -> list[Resource]:
        """Find each Broker's channel template; a Broker whose template cannot be used is left out."""
        config_maps = {_key(each): each for each in _of_kind(resources, ConfigMap)}
        return [each for each in resources if not isinstance(each, Broker) or self._find_channel(each, config_maps)]

    def _find_channel(self, broker: Broker, config_maps: Mapping[ResourceKey, ConfigMap]) -> bool:
        wanted = broker.config_map
        config_map = None if wanted is None else config_maps.get(wanted)
        # A ConfigMap that is missing leaves the Broker out later, as every reference that does not resolve.
        template: ChannelTemplate | None = ChannelTemplate()
        if config_map is not None:
            template = self._template(broker, config_map)
        if template is not None:
            self.channels[broker.namespace, broker.name] = template
        return template is not None

    def _template(self, broker: Broker, config_map: ConfigMap) -> ChannelTemplate | None:
        """Parse the template in a ConfigMap; None if the Broker cannot run with it."""
        key = next((key for key in CHANNEL_TEMPLATE_KEYS if key in config_map.data), None)
        if key is None:
            near = suggestion(next(iter(config_map.data), ""), CHANNEL_TEMPLATE_KEYS)
            message = f"its ConfigMap {config_map.name} needs the key {CHANNEL_TEMPLATE_KEYS[0]}{near}"
            self._leave_out(broker.document, ("spec", "config"), message)
            return None
        text = config_map.data[key]
        # A block scalar's text begins on the line after its key.
        first_line = config_map.document.line(("data", key)) + ("\n" in text)
        try:
            documents = parse_yaml(text, config_map.document.file, first_line)
        except ManifestError as exc:
            self.findings += exc.findings
            return None
        if len(documents) != 1 or not isinstance(documents[0].data, dict):
            message = f"must hold one manifest, found {len(documents)}"
            self.findings.append(config_map.document.finding(("data", key), message))
            return None
        kind = documents[0].data.get("kind")
        if kind != "NatsJetStreamChannel":
            message = f"runs on NATS JetStream here, with the defaults of its channels, not on {kind}"
            self.notes.append(record(Note, broker.document, ("spec", "config"), message))
            return ChannelTemplate()
        return self._channel(broker, config_map, key, documents[0])

    def _channel(self, broker: Broker, config_map: ConfigMap, key: str, document: Document) -> ChannelTemplate | None:
        parsed = parse_leniently(ChannelManifest, document, lambda line: (document.file, line) in self._lines)
        self.findings += [replace(each, path=f"data.{key}: {each.path}") for each in parsed.refused]
        for _, message in parsed.ignored:
            self.notes.append(record(Note, config_map.document, ("data", key), message))
        if parsed.model is not None:
            return parsed.model.template()
        if not parsed.refused:
            path, message = parsed.limitations[0]
            self._leave_out(broker.document, ("spec", "config"), f"its channel template: {_at(path, message)}")
        return None


def _is_of_knative(document: Document) -> bool:
    group = str(document.data.get("apiVersion")).partition("/")[0]
    return group.endswith(".knative.dev") or group == "gateway.networking.k8s.io"


def _is_nameless(data: Mapping[str, object]) -> bool:
    metadata = data.get("metadata")
    return isinstance(metadata, dict) and bool(metadata.get("generateName")) and not metadata.get("name")


def _at(path: FieldPath, message: str) -> str:
    return f"{dotted(path)}: {message}" if path else message


def _unknown_kind(api_version: str, kind: str) -> str:
    reason = reason_of(api_version, kind)
    if reason is not None:
        return reason
    versions = sorted(version for version, known in KINDS if known == kind)
    if versions:
        return f"the local runtime runs no {kind} of {api_version}; {kind} is known in {' and '.join(versions)}"
    near = suggestion(kind, [known for _, known in KINDS], likeness=0.8)
    return f"the local runtime runs no {kind} of {api_version}{near}"
