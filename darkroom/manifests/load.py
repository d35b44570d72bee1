"""Loads manifests from paths: reads, parses and cross-checks them, and reports all errors at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from darkroom.manifests import messaging, parsing
from darkroom.manifests.channel import ChannelManifest, ChannelTemplate
from darkroom.manifests.core import ConfigMap, Namespace, ServiceAccount
from darkroom.manifests.errors import Finding, ManifestError, suggestion
from darkroom.manifests.eventing import Broker, PingSource, SinkBinding, Trigger
from darkroom.manifests.files import Files
from darkroom.manifests.gateway import HTTPRoute
from darkroom.manifests.ignored_kinds import IGNORED_KINDS
from darkroom.manifests.model import Resource, ResourceKey
from darkroom.manifests.platform.bundle import Bundle, unpacked
from darkroom.manifests.platform.limits import CHANNEL_TEMPLATE_KEYS
from darkroom.manifests.platform.refusals import refusals
from darkroom.manifests.references import unresolved
from darkroom.manifests.serving import Service
from darkroom.manifests.source import Document
from darkroom.manifests.source import parse as parse_yaml

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
    ("sources.knative.dev/v1", "SinkBinding"): SinkBinding,
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): HTTPRoute,
    ("v1", "ConfigMap"): ConfigMap,
    ("v1", "Namespace"): Namespace,
    ("v1", "ServiceAccount"): ServiceAccount,
    **IGNORED_KINDS,
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


def load(paths: Sequence[Path]) -> Manifests:
    """Load manifests from files and directories, with or without a kustomization.

    Raises ManifestError with all findings.
    """
    files = Files()
    files.add_all(paths)
    findings = files.findings
    documents = [each for document in files.documents for each in unpacked(document)]
    resources, resource_findings = _parse_all(documents)
    findings += resource_findings
    findings += unresolved(resources, _keys(documents))
    channels, channel_findings = _channels(resources)
    findings += channel_findings
    findings += _refusals(documents, findings)
    if findings:
        raise ManifestError(findings)
    return Manifests(
        services=_of_kind(resources, Service),
        brokers=_of_kind(resources, Broker),
        triggers=_of_kind(resources, Trigger),
        ping_sources=_of_kind(resources, PingSource),
        sink_bindings=_of_kind(resources, SinkBinding),
        routes=_of_kind(resources, HTTPRoute),
        config_maps=_of_kind(resources, ConfigMap),
        channels=channels,
        files=tuple(files.read),
        messaging_channels=tuple(each for each in resources if isinstance(each, messaging.AnyChannel)),
        subscriptions=_of_kind(resources, messaging.Subscription),
        sequences=_of_kind(resources, messaging.Sequence),
        parallels=_of_kind(resources, messaging.Parallel),
    )


def _of_kind(resources: Iterable[Resource], kind: type[ResourceT]) -> tuple[ResourceT, ...]:
    return tuple(resource for resource in resources if isinstance(resource, kind))


# --- documents to resources ------------------------------------------------------------------------------------------


def _parse_all(documents: Iterable[Document]) -> tuple[list[Resource], list[Finding]]:
    resources: list[Resource] = []
    findings: list[Finding] = []
    for document in documents:
        model = _model_of(document)
        if isinstance(model, Finding):
            findings.append(model)
            continue
        resource, parse_findings = parsing.parse(model, document)
        findings += parse_findings
        if resource is not None:
            resource.attach_document(document)
            resources.append(resource)
    return resources, findings


def _model_of(document: Document) -> type[Resource] | Finding:
    data = document.data
    if not isinstance(data, dict):
        return document.finding((), "a manifest is a mapping with apiVersion and kind")
    for field in ("apiVersion", "kind"):
        if not isinstance(data.get(field), str):
            return document.finding((field,), "is missing" if field not in data else "must be a string")
    model = KINDS.get((data["apiVersion"], data["kind"]))
    return model or _unknown_kind(document, data["apiVersion"], data["kind"])


def _unknown_kind(document: Document, api_version: str, kind: str) -> Finding:
    versions = [version for version, known in KINDS if known == kind]
    if versions:
        near = f"; {kind} is known in {' and '.join(versions)}"
        return document.finding(("apiVersion",), f"unknown kind {kind!r} of {api_version!r}{near}")
    near = suggestion(kind, [known for _, known in KINDS])
    return document.finding(("kind",), f"unknown kind {kind!r} of {api_version!r}{near}")


def _refusals(documents: Sequence[Document], found: Iterable[Finding]) -> list[Finding]:
    """What a cluster refuses although the models accept it, without what is reported of the same line already."""
    lines = {(finding.file, finding.line) for finding in found}
    return [each for each in refusals(Bundle(documents)) if (each.file, each.line) not in lines]


# --- resources by name -----------------------------------------------------------------------------------------------


def _key(document: Document) -> ResourceKey | None:
    """Read a resource's key from the raw data, so that a reference to an invalid manifest is not a second error."""
    data = document.data
    metadata: Any = data.get("metadata") if isinstance(data, dict) else None
    if not isinstance(metadata, dict):
        return None
    texts = (data.get("apiVersion"), data.get("kind"), metadata.get("namespace", "default"), metadata.get("name"))
    return texts if all(isinstance(text, str) for text in texts) else None  # type: ignore[return-value]


def _keys(documents: Iterable[Document]) -> set[ResourceKey]:
    return {key for document in documents if (key := _key(document)) is not None}


# --- the channels behind the Brokers ---------------------------------------------------------------------------------


def _channels(resources: Sequence[Resource]) -> tuple[dict[tuple[str, str], ChannelTemplate], list[Finding]]:
    config_maps = {(c.namespace, c.name): c for c in _of_kind(resources, ConfigMap)}
    channels: dict[tuple[str, str], ChannelTemplate] = {}
    findings: list[Finding] = []
    for broker in _of_kind(resources, Broker):
        config = broker.spec.config
        config_map = config_maps.get((config.namespace or broker.namespace, config.name))
        if config_map is None:
            continue  # An unresolved reference or an invalid ConfigMap, which is already reported.
        template, channel_findings = _channel(config_map)
        findings += channel_findings
        if template is not None:
            channels[broker.namespace, broker.name] = template
    return channels, findings


def _channel(config_map: ConfigMap) -> tuple[ChannelTemplate | None, list[Finding]]:
    key = next((key for key in CHANNEL_TEMPLATE_KEYS if key in config_map.data), None)
    if key is None:
        near = suggestion(next(iter(config_map.data), ""), CHANNEL_TEMPLATE_KEYS)
        message = f"a Broker's ConfigMap needs the key {CHANNEL_TEMPLATE_KEYS[0]}{near}"
        return None, [config_map.document.finding(("data",), message)]
    text = config_map.data[key]
    # A block scalar's text begins on the line after its key.
    first_line = config_map.document.line(("data", key)) + ("\n" in text)
    try:
        documents = parse_yaml(text, config_map.document.file, first_line)
    except ManifestError as exc:
        return None, list(exc.findings)
    if len(documents) != 1:
        message = f"must hold one manifest, found {len(documents)}"
        return None, [config_map.document.finding(("data", key), message)]
    channel, findings = parsing.parse(ChannelManifest, documents[0])
    findings = [replace(finding, path=f"data.{key}: {finding.path}") for finding in findings]
    return (channel.template() if channel is not None else None), findings
