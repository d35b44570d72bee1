"""References to manifests that are not among the checked files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from darkroom.manifests.errors import suggestion
from darkroom.manifests.platform.bundle import (
    EVENTING,
    FLOWS,
    MESSAGING,
    NATIVE,
    SERVING,
    Bundle,
    Manifest,
    broker_class,
)
from darkroom.manifests.platform.rule import RuleViolation, rule
from darkroom.manifests.platform.rules.timing import GOOD
from darkroom.manifests.platform.severity import Severity
from darkroom.manifests.source import FieldPath

Wanted = tuple[FieldPath, str, str, str, str]
"""The path of a reference, and the group, kind, namespace and name that it refers to."""
_RECOVERY = """\
---
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: recovery}
spec: {template: {spec: {containers: [{image: "example.com/recovery:1.0.0"}]}}}
"""


@rule(
    "missing-reference",
    Severity.WARNING,
    "a referenced manifest does not exist",
    on_the_cluster="The Trigger, source or Broker is not Ready, and events wait or are lost until it is. Only Brokers, "
    "Knative Services and ConfigMaps are checked, and only if the checked files contain any of that kind.",
    fix="Check all files together, or correct the name or the namespace.",
    bad=GOOD.replace("broker: darkroom", "broker: darkrom") + _RECOVERY,
    good=GOOD + _RECOVERY,
)
def missing(bundle: Bundle) -> Iterator[RuleViolation]:
    kinds = {(each.api_version.partition("/")[0], each.kind) for each in bundle.manifests}
    for manifest in bundle.manifests:
        for path, group, kind, namespace, name in _wanted(manifest):
            if (group.rstrip("/"), kind) in kinds and bundle.find(group, kind, namespace, name) is None:
                yield manifest, path, f"there is no {kind} {name!r} in the namespace {namespace!r}"


def _wanted(manifest: Manifest) -> Iterator[Wanted]:
    if manifest.is_a(EVENTING, "Trigger"):
        # A Trigger without a Broker is reported by the rule trigger-broker.
        if manifest.get("spec", "broker"):
            yield ("spec", "broker"), EVENTING, "Broker", manifest.namespace, str(manifest.get("spec", "broker"))
        yield from _destination(manifest, ("spec", "subscriber"))
        yield from _destination(manifest, ("spec", "delivery", "deadLetterSink"))
    elif manifest.is_a(EVENTING, "Broker"):
        yield from _destination(manifest, ("spec", "delivery", "deadLetterSink"))
        config: Any = manifest.get("spec", "config")
        if isinstance(config, dict) and config.get("kind") == "ConfigMap" and broker_class(manifest) != NATIVE:
            namespace = str(config.get("namespace") or manifest.namespace)
            # The ConfigMaps of the installation itself are not in users' files.
            if namespace != "knative-eventing" and _is_name(config.get("name")):
                yield ("spec", "config", "name"), "v1", "ConfigMap", namespace, config["name"]
    elif manifest.is_a(MESSAGING, "Subscription"):
        for path in (("spec", "subscriber"), ("spec", "reply"), ("spec", "delivery", "deadLetterSink")):
            yield from _destination(manifest, path)
    elif manifest.is_a(FLOWS, "Sequence") or manifest.is_a(FLOWS, "Parallel"):
        for at, _ in [*manifest.items("spec", "steps"), *manifest.items("spec", "branches")]:
            for below in ((), ("subscriber",), ("filter",), ("reply",), ("delivery", "deadLetterSink")):
                yield from _destination(manifest, (*at, *below))
        yield from _destination(manifest, ("spec", "reply"))
    elif manifest.api_version.startswith("sources.knative.dev/"):
        yield from _destination(manifest, ("spec", "sink"))
        subject: Any = manifest.get("spec", "subject")
        if isinstance(subject, dict) and str(subject.get("apiVersion")).startswith(SERVING) and subject.get("name"):
            namespace = str(subject.get("namespace") or manifest.namespace)
            yield ("spec", "subject", "name"), SERVING, "Service", namespace, str(subject["name"])


def _is_name(value: Any) -> bool:
    """A name that is missing or no string is reported as such."""
    return isinstance(value, str) and value != ""


def _destination(manifest: Manifest, path: FieldPath) -> Iterator[Wanted]:
    reference: Any = manifest.get(*path, "ref")
    if not isinstance(reference, dict):
        return
    namespace, name = str(reference.get("namespace") or manifest.namespace), reference.get("name")
    if not isinstance(name, str) or not name:
        return
    for group, kind in ((SERVING, "Service"), (EVENTING, "Broker")):
        if str(reference.get("apiVersion")).startswith(group) and reference.get("kind") == kind:
            yield (*path, "ref", "name"), group, kind, namespace, name


_SERVICE = """\
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: resize}
spec: {template: {spec: {serviceAccountName: resize, containers: [{image: "example.com/resize:1.0.0"}]}}}
"""
_ACCOUNT = """\
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: resize}
"""


@rule(
    "missing-service-account",
    Severity.WARNING,
    "a ServiceAccount is not among the checked files",
    on_the_cluster="A Knative Service is refused, or gets no pods, until its ServiceAccount exists.",
    fix="Add the ServiceAccount, and apply it first; or check the files that have it too.",
    bad=_SERVICE,
    good=_SERVICE + _ACCOUNT,
)
def missing_account(bundle: Bundle) -> Iterator[RuleViolation]:
    accounts = {(each.namespace, each.name) for each in bundle.of_kind("v1", "ServiceAccount")}
    names = sorted({name for _, name in accounts})
    for manifest in [*bundle.functions, *bundle.of_kind("sources.knative.dev/", "ApiServerSource")]:
        path = (*(manifest.pod_path or ("spec",)), "serviceAccountName")
        name = manifest.get(*path)
        # Every namespace has the one named default.
        if isinstance(name, str) and name not in {"", "default"} and (manifest.namespace, name) not in accounts:
            message = f"there is no ServiceAccount {name!r} in the namespace {manifest.namespace!r}"
            yield manifest, path, message + suggestion(name, names)
