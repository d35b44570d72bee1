"""The manifests that are checked together, and the links between them: Triggers, Brokers, channels, subscribers.

Only the requested values are read, and nothing is required: a part that is missing or has another shape is None.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from darkroom.events import durations
from darkroom.manifests.errors import ManifestError
from darkroom.manifests.platform.limits import CHANNEL_TEMPLATE_KEYS
from darkroom.manifests.source import Document, FieldPath
from darkroom.manifests.source import parse as parse_yaml

SERVING = "serving.knative.dev/"
EVENTING = "eventing.knative.dev/"
MESSAGING = "messaging.knative.dev/"
FLOWS = "flows.knative.dev/"
JETSTREAM_CHANNEL = "NatsJetStreamChannel"
BROKER_CLASS = "eventing.knative.dev/broker.class"
NATIVE = "NatsJetStreamBroker"
CHANNEL_BASED = "MTChannelBasedBroker"
POD_OWNERS = {"Deployment", "StatefulSet", "DaemonSet", "Job", "ReplicaSet"}


@dataclass(frozen=True, kw_only=True)
class Manifest:
    document: Document

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = self.document.data
        return data

    @property
    def kind(self) -> str:
        return str(self.data.get("kind"))

    @property
    def api_version(self) -> str:
        return str(self.data.get("apiVersion"))

    @property
    def name(self) -> str:
        name = self.get("metadata", "name")
        return "without a name" if name is None else str(name)

    @property
    def namespace(self) -> str:
        return str(self.get("metadata", "namespace") or "default")

    def get(self, *path: str | int) -> Any:
        """The value at a path; None if there is none."""
        found: Any = self.data
        for step in path:
            if isinstance(found, dict):
                found = found.get(step)
            elif isinstance(found, list) and isinstance(step, int) and step < len(found):
                found = found[step]
            else:
                return None
        return found

    def items(self, *path: str | int) -> Iterator[tuple[FieldPath, dict[str, Any]]]:
        """The mappings in a list, each with its path."""
        for index, item in mappings(self.get(*path)):
            yield (*path, index), item

    def mapping(self, *path: str | int) -> dict[str, Any]:
        """The mapping at a path; empty if there is none."""
        found = self.get(*path)
        return found if isinstance(found, dict) else {}

    def line(self, path: FieldPath) -> int:
        return self.document.line(path)

    def is_a(self, group: str, kind: str) -> bool:
        return self.kind == kind and self.api_version.startswith(group)

    @property
    def is_function(self) -> bool:
        return self.is_a(SERVING, "Service")

    @property
    def pod_path(self) -> FieldPath | None:
        """The path of the pod's specification; None if the manifest runs no pods."""
        if self.is_function or (self.kind in POD_OWNERS and self.get("spec", "template", "spec") is not None):
            return ("spec", "template", "spec")
        if self.kind == "CronJob":
            return ("spec", "jobTemplate", "spec", "template", "spec")
        return ("spec",) if self.kind == "Pod" and self.api_version == "v1" else None

    def containers(self) -> Iterator[tuple[FieldPath, dict[str, Any]]]:
        if self.pod_path is not None:
            for name in ("initContainers", "containers"):
                yield from self.items(*self.pod_path, name)

    def variable(self, name: str) -> str | None:
        """The plain value of an environment variable of the first container that has it."""
        for _, container in self.containers():
            for _, variable in mappings(container.get("env")):
                if variable.get("name") == name and variable.get("value") is not None:
                    return str(variable["value"])
        return None


class Bundle:
    def __init__(self, documents: Sequence[Document], events: Sequence[str] = ()) -> None:
        """`events` are the event types that are known to be emitted. Empty means that none are known."""
        self.events = frozenset(events)
        self.manifests = [
            Manifest(document=each)
            for document in documents
            for each in unpacked(document)
            if isinstance(each.data, dict) and each.data.get("kind") not in ("Kustomization", "Component")
        ]

    @cached_property
    def _by_kind(self) -> dict[str, list[Manifest]]:
        found: dict[str, list[Manifest]] = {}
        for each in self.manifests:
            found.setdefault(each.kind, []).append(each)
        return found

    @cached_property
    def _by_name(self) -> dict[tuple[str, str, str], list[Manifest]]:
        found: dict[tuple[str, str, str], list[Manifest]] = {}
        for each in self.manifests:
            found.setdefault((each.kind, each.namespace, each.name), []).append(each)
        return found

    def of_kind(self, group: str, *kinds: str) -> list[Manifest]:
        found = [each for kind in dict.fromkeys(kinds) for each in self._by_kind.get(kind, ())]
        return [each for each in found if each.api_version.startswith(group)]

    @cached_property
    def functions(self) -> list[Manifest]:
        return [each for each in self.manifests if each.is_function]

    @cached_property
    def triggers(self) -> list[Manifest]:
        return self.of_kind(EVENTING, "Trigger")

    @cached_property
    def brokers(self) -> list[Manifest]:
        return self.of_kind(EVENTING, "Broker")

    def find(self, group: str, kind: str, namespace: str, name: str) -> Manifest | None:
        found = self._by_name.get((kind, namespace, name), ())
        return next((each for each in found if each.api_version.startswith(group)), None)

    # --- eventing ------------------------------------------------------------------------------------------------

    def broker_of(self, trigger: Manifest) -> Manifest | None:
        return self.find(EVENTING, "Broker", trigger.namespace, str(trigger.get("spec", "broker")))

    def subscriber_of(self, manifest: Manifest) -> Manifest | None:
        """The Knative Service that a Trigger or a Subscription delivers to, if it is among the manifests."""
        reference = manifest.get("spec", "subscriber", "ref")
        if not isinstance(reference, dict) or not str(reference.get("apiVersion")).startswith(SERVING):
            return None
        namespace = str(reference.get("namespace") or manifest.namespace)
        return self.find(SERVING, "Service", namespace, str(reference.get("name")))

    @cached_property
    def channels(self) -> list[Manifest]:
        """JetStream channels, including those in the templates of Brokers, Channels, Sequences and Parallels."""
        found = self.of_kind(MESSAGING, JETSTREAM_CHANNEL)
        for config_map in self.of_kind("v1", "ConfigMap"):
            found += templates_in(config_map)
        for manifest in [*self.of_kind(MESSAGING, "Channel"), *self.of_kind(FLOWS, "Sequence", "Parallel")]:
            template = template_of(manifest)
            found += [template] if template is not None else []
        return [each for each in found if each.kind == JETSTREAM_CHANNEL]

    def channel_of(self, trigger: Manifest) -> Manifest | None:
        """The JetStream channel template behind a Trigger's Broker."""
        broker = self.broker_of(trigger)
        if broker is None or broker_class(broker) == NATIVE:
            return None
        found = self._templates_of(broker) or []
        return next((each for each in found if each.kind == JETSTREAM_CHANNEL), None)

    def _templates_of(self, broker: Manifest) -> list[Manifest] | None:
        """The channel templates in a Broker's ConfigMap; None if it is not among the manifests."""
        config = broker.get("spec", "config")
        if not isinstance(config, dict):
            return None
        namespace = str(config.get("namespace") or broker.namespace)
        config_map = self.find("v1", "ConfigMap", namespace, str(config.get("name")))
        return templates_in(config_map) if config_map is not None else None

    @cached_property
    def names_jetstream(self) -> bool:
        """Whether any manifest says that events go over JetStream."""
        return (
            bool(self.channels)
            or any(broker_class(each) == NATIVE for each in self.brokers)
            or any(_channel_kind(each) == JETSTREAM_CHANNEL for each in self.of_kind(MESSAGING, "Subscription"))
        )

    def is_jetstream(self, manifest: Manifest) -> bool:
        """Whether the deliveries of a Trigger, Broker, Subscription, channel or flow go over JetStream.

        What decides it may be outside the checked manifests; then it is what the others use.
        """
        if manifest.kind == "Trigger":
            broker = self.broker_of(manifest)
            return self.names_jetstream if broker is None else self._broker_is_jetstream(broker)
        if manifest.kind == "Broker":
            return self._broker_is_jetstream(manifest)
        if manifest.kind == "Subscription":
            kind, name = _channel_kind(manifest), str(manifest.get("spec", "channel", "name"))
            channel = self.find(MESSAGING, "Channel", manifest.namespace, name) if kind == "Channel" else None
            return self._channel_is_jetstream(kind if channel is None else _template_kind(channel))
        if manifest.kind in ("Channel", "Sequence", "Parallel"):
            return self._channel_is_jetstream(_template_kind(manifest))
        return manifest.kind == JETSTREAM_CHANNEL

    def _channel_is_jetstream(self, kind: str) -> bool:
        """A Channel without a template is of the cluster's default kind."""
        return kind == JETSTREAM_CHANNEL or (kind == "Channel" and self.names_jetstream)

    def _broker_is_jetstream(self, broker: Manifest) -> bool:
        if broker_class(broker) != CHANNEL_BASED:
            return broker_class(broker) == NATIVE
        templates = self._templates_of(broker)
        return any(each.kind == JETSTREAM_CHANNEL for each in templates) if templates else self.names_jetstream


def _channel_kind(subscription: Manifest) -> str:
    return str(subscription.get("spec", "channel", "kind"))


def _template_kind(manifest: Manifest) -> str:
    return str(manifest.get("spec", "channelTemplate", "kind") or "Channel")


def template_of(manifest: Manifest) -> Manifest | None:
    """The channel template in a Channel, Sequence or Parallel, with the line numbers of the file around it."""
    path: FieldPath = ("spec", "channelTemplate")
    data = manifest.get(*path)
    if not isinstance(data, dict):
        return None
    lines = {at[2:]: line for at, line in manifest.document.lines.items() if at[:2] == path}
    owner = {"name": manifest.get("metadata", "name"), "namespace": manifest.get("metadata", "namespace")}
    lines.setdefault((), manifest.line(path))
    return Manifest(document=replace(manifest.document, data={"metadata": owner, **data}, lines=lines))


def unpacked(document: Document) -> Iterator[Document]:
    """The document itself, or the items of a List such as kubectl prints, each with its line numbers.

    The items of a typed list, such as a TriggerList, may leave out what they all have in common.
    """
    data = document.data
    kind = data.get("kind") if isinstance(data, dict) else None
    if not isinstance(kind, str) or not kind.endswith("List") or not isinstance(data.get("items"), list):
        yield document
        return
    common = {} if kind == "List" else {"apiVersion": data.get("apiVersion"), "kind": kind.removesuffix("List")}
    below: dict[FieldPath, dict[FieldPath, int]] = {}
    for path, line in document.lines.items():
        if path[:1] == ("items",) and len(path) > 1:
            below.setdefault(path[:2], {})[path[2:]] = line
    for index, item in enumerate(data["items"]):
        lines = below.get(("items", index), {(): document.line(("items",))})
        yield from unpacked(replace(document, data={**common, **item} if isinstance(item, dict) else item, lines=lines))


def broker_class(broker: Manifest) -> str:
    return str(broker.mapping("metadata", "annotations").get(BROKER_CLASS, CHANNEL_BASED))


def templates_in(config_map: Manifest) -> list[Manifest]:
    """The channel template in a Broker's ConfigMap, with the line numbers of the enclosing file."""
    for key in CHANNEL_TEMPLATE_KEYS:
        text = config_map.get("data", key)
        if isinstance(text, str):
            # The text of a block scalar begins on the line after its key.
            first_line = config_map.line(("data", key)) + ("\n" in text)
            try:
                documents = parse_yaml(text, config_map.document.file, first_line)
            except ManifestError:
                # A text that is not YAML is reported as `not-yaml`.
                return []
            return [Manifest(document=each) for each in documents if isinstance(each.data, dict)]
    return []


def mappings(value: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    """The mappings in what should be a list, each with its index."""
    for index, item in enumerate(value if isinstance(value, list) else ()):
        if isinstance(item, dict):
            yield index, item


# --- values ----------------------------------------------------------------------------------------------------------


def seconds(text: object) -> float | None:
    """The seconds of an ISO 8601 duration, a Go duration or a plain number; None for anything else."""
    for parse in (durations.parse_iso, durations.parse_go, float):
        try:
            return float(parse(str(text)))
        except ValueError:
            continue
    return None


def whole(value: object) -> int | None:
    try:
        return int(str(value))
    except ValueError:
        return None
