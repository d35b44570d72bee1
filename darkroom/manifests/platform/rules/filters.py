"""Triggers: their Broker, and the filters that the webhook validates."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from darkroom.manifests.errors import suggestion
from darkroom.manifests.platform.bundle import BROKER_CLASS, EVENTING, Bundle, Manifest, broker_class, mappings
from darkroom.manifests.platform.cesql import CesqlError, check_syntax
from darkroom.manifests.platform.rule import RuleViolation, rule
from darkroom.manifests.platform.severity import Severity
from darkroom.manifests.source import FieldPath

_ATTRIBUTE = re.compile("[a-z][a-z0-9]*")
_DIALECTS = ("exact", "prefix", "suffix", "all", "any", "not", "cesql")
_CLASSES = ("MTChannelBasedBroker", "NatsJetStreamBroker", "Kafka", "KafkaNamespaced", "RabbitMQBroker")
GOOD = """\
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {name: resize}
spec:
  broker: darkroom
  filters: [{exact: {type: resize.requested}}, {cesql: "size = 'large'"}]
  subscriber: {uri: "http://resize.default.svc.cluster.local"}
"""
_BROKER = """\
apiVersion: eventing.knative.dev/v1
kind: Broker
metadata: {name: darkroom, annotations: {eventing.knative.dev/broker.class: MTChannelBasedBroker}}
spec: {config: {apiVersion: v1, kind: ConfigMap, name: broker}}
"""


@rule(
    "trigger-broker",
    Severity.ERROR,
    "a Trigger does not name its Broker",
    on_the_cluster="The webhook refuses the Trigger.",
    fix="Set `broker: NAME`, of a Broker in the same namespace. Another namespace requires the feature "
    "cross-namespace-event-links.",
    bad=GOOD.replace("  broker: darkroom\n", ""),
    good=GOOD,
)
def broker(bundle: Bundle) -> Iterator[RuleViolation]:
    for trigger in bundle.triggers:
        name, reference = trigger.get("spec", "broker"), trigger.get("spec", "brokerRef")
        if not name and reference is None:
            yield trigger, ("spec",), f"Trigger {trigger.name} has no broker"
        elif name and reference is not None:
            yield trigger, ("spec", "brokerRef"), "broker and brokerRef exclude each other"
        if isinstance(reference, dict) and reference.get("namespace"):
            message = "a Broker in another namespace requires the feature cross-namespace-event-links"
            yield trigger, ("spec", "brokerRef", "namespace"), message


@rule(
    "trigger-annotation",
    Severity.ERROR,
    "an annotation of a Trigger that the webhook refuses",
    on_the_cluster="The webhook refuses the Trigger.",
    fix="knative.dev/dependency is a JSON object reference in the Trigger's namespace; eventing.knative.dev/injection "
    "is enabled or disabled, and only for the Broker named default.",
    bad=GOOD.replace("{name: resize}", '{name: resize, annotations: {eventing.knative.dev/injection: "enabled"}}', 1),
    good=GOOD,
)
def annotation(bundle: Bundle) -> Iterator[RuleViolation]:
    for trigger in bundle.triggers:
        annotations = trigger.mapping("metadata", "annotations")
        for key, problem in (
            ("eventing.knative.dev/injection", _injection_problem),
            ("knative.dev/dependency", _dependency_problem),
        ):
            if key in annotations and (message := problem(trigger, str(annotations[key]))) is not None:
                yield trigger, ("metadata", "annotations", key), message


def _injection_problem(trigger: Manifest, value: str) -> str | None:
    if value not in {"enabled", "disabled"}:
        return f"injection must be enabled or disabled, was {value!r}"
    if trigger.get("spec", "broker") != "default":
        return f"injection works only for the Broker named default, not for {trigger.get('spec', 'broker')!r}"
    return None


def _dependency_problem(trigger: Manifest, value: str) -> str | None:
    try:
        reference = json.loads(value)
    except ValueError:
        return f"dependency must be an object reference in JSON, was {value!r}"
    if not isinstance(reference, dict):
        return f"dependency must be an object reference in JSON, was {value!r}"
    missing = [name for name in ("kind", "name", "apiVersion") if not reference.get(name)]
    if missing:
        return f"dependency must name {', '.join(missing)}"
    namespace = reference.get("namespace")
    if namespace and namespace != trigger.namespace:
        return f"dependency must be in the Trigger's namespace {trigger.namespace!r}, was in {namespace!r}"
    return None


@rule(
    "filter-expression",
    Severity.ERROR,
    "a filter that the webhook refuses",
    on_the_cluster="The webhook refuses the Trigger.",
    fix="Use one dialect per element of `filters`. Attributes are lower-case letters and digits, and begin with a "
    "letter.",
    bad=GOOD.replace("{exact: {type: resize.requested}}", "{exact: {type: a}, prefix: {source: b}}"),
    good=GOOD,
)
def expression(bundle: Bundle) -> Iterator[RuleViolation]:
    for trigger in bundle.triggers:
        for name in trigger.mapping("spec", "filter", "attributes"):
            if not _ATTRIBUTE.fullmatch(str(name)):
                yield trigger, ("spec", "filter", "attributes", str(name)), _attribute_message(name)
        for path, each in _expressions(trigger):
            yield from ((trigger, (*path, *below), message) for below, message in _expression_problems(each))


def _expressions(trigger: Manifest) -> Iterator[tuple[FieldPath, dict[str, Any]]]:
    """Every filter expression, including nested ones."""
    pending = [*trigger.items("spec", "filters")]
    while pending:
        path, each = pending.pop(0)
        yield path, each
        for name in ("all", "any"):
            pending += [((*path, name, index), below) for index, below in mappings(each.get(name))]
        if isinstance(each.get("not"), dict):
            pending.append(((*path, "not"), each["not"]))


def _expression_problems(each: dict[str, Any]) -> Iterator[tuple[FieldPath, str]]:
    given = [name for name in _DIALECTS if each.get(name) or (name == "not" and each.get(name) is not None)]
    if len(given) > 1:
        yield (), f"a filter has one dialect, found {', '.join(given)}"
    for dialect in ("exact", "prefix", "suffix"):
        attributes = each.get(dialect)
        for name in attributes if isinstance(attributes, dict) else ():
            if not _ATTRIBUTE.fullmatch(str(name)):
                yield (dialect, str(name)), _attribute_message(name)


def _attribute_message(name: object) -> str:
    return f"an attribute's name must be lower-case letters and digits, beginning with a letter, was {name!r}"


@rule(
    "filter-empty-value",
    Severity.ERROR,
    "a filter compares an attribute with nothing",
    on_the_cluster="The webhook accepts it, and the dispatcher skips the whole expression, which only its log reports: "
    "the Trigger delivers what it should have held back.",
    fix="Give a value. That an attribute is there at all is `cesql: EXISTS name`, or an empty value in the older "
    "`filter.attributes`.",
    bad=GOOD.replace("{type: resize.requested}", '{type: ""}'),
    good=GOOD,
)
def empty_value(bundle: Bundle) -> Iterator[RuleViolation]:
    for trigger in bundle.triggers:
        for path, each in _expressions(trigger):
            for dialect in ("exact", "prefix", "suffix"):
                attributes = each.get(dialect)
                for name, value in attributes.items() if isinstance(attributes, dict) else ():
                    if value == "":
                        yield trigger, (*path, dialect, name), f"{dialect} of {name} has an empty value"


@rule(
    "cesql-syntax",
    Severity.ERROR,
    "a CloudEvents SQL expression that cannot be parsed",
    on_the_cluster="The webhook refuses the Trigger.",
    fix="Follow the specification's grammar: text in quotes, `=` instead of `==`, AND instead of &&.",
    bad=GOOD.replace("size = 'large'", "size = "),
    good=GOOD,
)
def cesql(bundle: Bundle) -> Iterator[RuleViolation]:
    for trigger in bundle.triggers:
        for path, each in _expressions(trigger):
            text = each.get("cesql")
            # An empty expression counts as missing.
            if isinstance(text, str) and text:
                try:
                    check_syntax(text)
                except CesqlError as exc:
                    yield trigger, (*path, "cesql"), f"{text!r}: {exc}"


@rule(
    "broker-class-empty",
    Severity.ERROR,
    "a Broker's class is an empty text",
    on_the_cluster="The webhook refuses the Broker. Without the annotation it has the cluster's default class.",
    fix="Name a class, or remove the annotation.",
    bad=_BROKER.replace("broker.class: MTChannelBasedBroker", 'broker.class: ""'),
    good=_BROKER,
)
def empty_class(bundle: Bundle) -> Iterator[RuleViolation]:
    for each in bundle.brokers:
        if broker_class(each) == "":
            yield each, ("metadata", "annotations", BROKER_CLASS), f"the class of Broker {each.name} is empty"


@rule(
    "broker-class",
    Severity.WARNING,
    "a Broker class that no known controller handles",
    on_the_cluster="It is accepted and never becomes Ready, because no controller reconciles it.",
    fix="Use MTChannelBasedBroker for a Broker on channels, or the class of the Broker that is installed in the "
    "cluster.",
    bad=_BROKER.replace("MTChannelBasedBroker", "MTChanelBasedBroker"),
    good=_BROKER,
)
def known_class(bundle: Bundle) -> Iterator[RuleViolation]:
    for each in bundle.of_kind(EVENTING, "Broker"):
        name = broker_class(each)
        if name and name not in _CLASSES:
            path = ("metadata", "annotations", "eventing.knative.dev/broker.class")
            yield each, path, f"no known controller handles the class {name!r}{suggestion(name, _CLASSES)}"
