"""Knative Services: settings that slow a start, make the autoscaler panic, or are refused by the webhook."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from darkroom.manifests.platform import names
from darkroom.manifests.platform.bundle import Bundle, mappings, whole
from darkroom.manifests.platform.limits import MAX_CONCURRENCY, MAX_TIMEOUT_S, SET_BY_SERVING
from darkroom.manifests.platform.marks import label_problems
from darkroom.manifests.platform.rule import RuleViolation, rule
from darkroom.manifests.platform.schema.serving import (
    POD_FEATURES,
    REFUSED_OF_CONTAINER,
    REFUSED_OF_POD,
    REFUSED_OF_PORT,
    VOLUME_FEATURES,
    is_set,
)
from darkroom.manifests.platform.severity import Severity
from darkroom.manifests.source import FieldPath

_POD: FieldPath = ("spec", "template", "spec")
_REFUSED_WHY = {
    "lifecycle": "Serving refuses it: it sets the preStop hook itself",
    "terminationGracePeriodSeconds": "Serving refuses it: use timeoutSeconds",
}
_AUTOSCALING = "autoscaling.knative.dev/"
_UTILISATION = f"{_AUTOSCALING}target-utilization-percentage"
GOOD = """\
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: resize}
spec:
  template:
    metadata:
      annotations: {autoscaling.knative.dev/target-utilization-percentage: "100"}
    spec:
      containerConcurrency: 1
      containers:
        - image: example.com/resize:1.0.0
          env: [{name: A, value: b}]
"""


@rule(
    "concurrency-panic",
    Severity.WARNING,
    "a concurrency of 1 or 2 with a utilisation below 100 %",
    on_the_cluster="The target is containerConcurrency x 70 %: at 1 that is 0.7, so a single steady request needs two "
    "instances, and the autoscaler panics at once.",
    fix='Set autoscaling.knative.dev/target-utilization-percentage: "100".',
    bad=GOOD.replace('target-utilization-percentage: "100"', 'min-scale: "0"'),
    good=GOOD,
)
def panic(bundle: Bundle) -> Iterator[RuleViolation]:
    for function in bundle.functions:
        concurrency = whole(function.get("spec", "template", "spec", "containerConcurrency"))
        annotations = function.mapping("spec", "template", "metadata", "annotations")
        utilisation = whole(annotations.get(_UTILISATION, 70)) or 70
        if concurrency in {1, 2} and utilisation < 100:
            path = ("spec", "template", "spec", "containerConcurrency")
            target = concurrency * utilisation / 100
            yield function, path, f"{function.name} has a target of {target:g} requests per instance"


@rule(
    "slow-probe",
    Severity.WARNING,
    "a readiness probe has a period",
    on_the_cluster="Without periodSeconds, queue-proxy probes every 50 ms until the function answers. With it, a cold "
    "start waits for the next whole second.",
    fix="Remove periodSeconds, timeoutSeconds and failureThreshold; or remove the probe: the default is a TCP probe.",
    bad=GOOD + "          readinessProbe: {periodSeconds: 10, httpGet: {path: /}}\n",
    good=GOOD,
)
def probe(bundle: Bundle) -> Iterator[RuleViolation]:
    for function in bundle.functions:
        for path, container in function.containers():
            found = container.get("readinessProbe")
            if isinstance(found, dict) and found.get("periodSeconds"):
                message = f"the readiness of {function.name} is probed every {found['periodSeconds']} s"
                yield function, (*path, "readinessProbe", "periodSeconds"), message


@rule(
    "annotation-misplaced",
    Severity.ERROR,
    "an autoscaling annotation is on the Service",
    on_the_cluster="The webhook refuses it: these annotations belong to the revision.",
    fix="Move it to spec.template.metadata.annotations.",
    bad=GOOD.replace("{name: resize}", '{name: resize, annotations: {autoscaling.knative.dev/max-scale: "3"}}'),
    good=GOOD,
)
def misplaced(bundle: Bundle) -> Iterator[RuleViolation]:
    for function in bundle.functions:
        for name in function.mapping("metadata", "annotations"):
            if str(name).startswith(_AUTOSCALING):
                yield function, ("metadata", "annotations", name), f"{name} belongs to the template of {function.name}"


@rule(
    "label",
    Severity.ERROR,
    "a label of Knative is misspelt or has an unknown value",
    on_the_cluster="It is accepted. A misspelt visibility leaves a function open to the world, and any value of "
    "visibility, also `public`, makes it private.",
    fix="networking.knative.dev/visibility: cluster-local, or no such label.",
    bad=GOOD.replace("{name: resize}", "{name: resize, labels: {networking.knative.dev/visiblity: cluster-local}}"),
    good=GOOD.replace("{name: resize}", "{name: resize, labels: {networking.knative.dev/visibility: cluster-local}}"),
)
def label(bundle: Bundle) -> Iterator[RuleViolation]:
    for function in bundle.functions:
        for name, message in label_problems(function.mapping("metadata", "labels")):
            yield function, ("metadata", "labels", name), f"{name}: {message}"


@rule(
    "refused-field",
    Severity.ERROR,
    "a field that Serving refuses",
    on_the_cluster="The webhook refuses the Service, unless the feature is turned on for the whole cluster.",
    fix="Remove it, or turn on the feature in config-features and document that next to the manifest.",
    bad=GOOD.replace(
        "      containerConcurrency: 1\n", "      containerConcurrency: 1\n      nodeSelector: {disk: ssd}\n"
    ),
    good=GOOD,
)
def refused(bundle: Bundle) -> Iterator[RuleViolation]:
    for function in bundle.functions:
        spec = function.mapping(*_POD)
        for path, message in _pod_problems(spec):
            yield function, (*_POD, *path), message
        for path, container in function.containers():
            for below, message in _container_problems(container):
                yield function, (*path, *below), message
        for path, volume in function.items(*_POD, "volumes"):
            for name in sorted(set(volume) & set(VOLUME_FEATURES)):
                yield function, (*path, name), f"{name}: {_needs(VOLUME_FEATURES[name])}"


def _needs(feature: str) -> str:
    return f"Serving refuses it unless the feature {feature} is on"


def _pod_problems(spec: dict[str, Any]) -> Iterator[tuple[FieldPath, str]]:
    for name, feature in POD_FEATURES.items():
        if is_set(name, spec.get(name)):
            container_level = " (set it on the container)" if name == "securityContext" else ""
            yield (name,), f"{name}: {_needs(feature)}{container_level}"
    for name in REFUSED_OF_POD:
        if name in spec:
            yield (name,), f"{name}: {_REFUSED_WHY.get(name, 'Serving refuses it')}"
    if spec.get("automountServiceAccountToken") is True:
        yield ("automountServiceAccountToken",), "automountServiceAccountToken: Serving allows only false"


def _container_problems(container: dict[str, Any]) -> Iterator[tuple[FieldPath, str]]:
    for name in REFUSED_OF_CONTAINER:
        if name in container:
            yield (name,), f"{name}: {_REFUSED_WHY.get(name, 'Serving refuses it')}"
    for index, port in mappings(container.get("ports")):
        for name in sorted(set(port) & set(REFUSED_OF_PORT)):
            yield ("ports", index, name), f"{name}: Serving refuses it"
    for index, mount in mappings(container.get("volumeMounts")):
        if mount.get("mountPropagation") is not None:
            feature = _needs("kubernetes.podspec-volumes-mount-propagation")
            yield ("volumeMounts", index, "mountPropagation"), f"mountPropagation: {feature}"
    for index, variable in mappings(container.get("env")):
        value_from = variable.get("valueFrom")
        for name in ("fieldRef", "resourceFieldRef"):
            if isinstance(value_from, dict) and value_from.get(name) is not None:
                yield ("env", index, "valueFrom", name), f"{name}: {_needs('kubernetes.podspec-fieldref')}"
    security = container.get("securityContext")
    if isinstance(security, dict):
        yield from _security_problems(security)


def _security_problems(security: dict[str, Any]) -> Iterator[tuple[FieldPath, str]]:
    if security.get("privileged") is True:
        yield ("securityContext", "privileged"), "privileged: Serving allows only false"
    capabilities = security.get("capabilities")
    if isinstance(capabilities, dict) and capabilities.get("add"):
        feature = _needs("kubernetes.containerspec-addcapabilities")
        yield ("securityContext", "capabilities", "add"), f"capabilities.add: {feature}"


@rule(
    "reserved-variable",
    Severity.ERROR,
    "an environment variable that Serving sets itself",
    on_the_cluster="The webhook refuses PORT, K_SERVICE, K_REVISION and K_CONFIGURATION.",
    fix="Remove it. To listen on another port, set the container's containerPort.",
    bad=GOOD.replace("name: A", "name: K_SERVICE"),
    good=GOOD,
)
def reserved(bundle: Bundle) -> Iterator[RuleViolation]:
    for function in bundle.functions:
        several = len([*function.items(*_POD, "containers")]) > 1
        for path, container in function.containers():
            sidecar = path[-2] == "initContainers" or (several and not container.get("ports"))
            for index, variable in mappings(container.get("env")):
                name = str(variable.get("name"))
                if name in SET_BY_SERVING and not (name == "PORT" and sidecar):
                    yield function, (*path, "env", index), f"{name} of {function.name} is set by Serving"


@rule(
    "sink-variable",
    Severity.WARNING,
    "a sink's address is written into the environment",
    on_the_cluster="It works as long as the address is right. A SinkBinding overwrites it; without one, it still "
    "points to the old address after the Broker was moved or renamed.",
    fix="Remove it and write a SinkBinding.",
    bad=GOOD.replace("name: A", "name: K_SINK"),
    good=GOOD,
)
def sink_variable(bundle: Bundle) -> Iterator[RuleViolation]:
    for function in bundle.functions:
        for path, container in function.containers():
            for index, variable in mappings(container.get("env")):
                if variable.get("name") in ("K_SINK", "K_CE_OVERRIDES"):
                    message = f"{variable['name']} of {function.name} is what a SinkBinding sets"
                    yield function, (*path, "env", index), message


@rule(
    "revision-bounds",
    Severity.ERROR,
    "a concurrency or a timeout is outside Serving's bounds",
    on_the_cluster=f"The webhook refuses a containerConcurrency above {MAX_CONCURRENCY} and a timeoutSeconds above "
    f"{MAX_TIMEOUT_S}, unless config-defaults raises them.",
    fix=f"Use a containerConcurrency from 0 (no limit) to {MAX_CONCURRENCY}; a timeoutSeconds up to {MAX_TIMEOUT_S}. "
    "Longer work belongs in a JobSink.",
    bad=GOOD.replace("containerConcurrency: 1", "containerConcurrency: 1001"),
    good=GOOD,
)
def bounds(bundle: Bundle) -> Iterator[RuleViolation]:
    for function in bundle.functions:
        for name, highest in (("containerConcurrency", MAX_CONCURRENCY), ("timeoutSeconds", MAX_TIMEOUT_S)):
            value = function.get(*_POD, name)
            if isinstance(value, int) and not 0 <= value <= highest:
                message = f"{name} of {function.name} must be from 0 to {highest}, was {value}"
                yield function, (*_POD, name), message


@rule(
    "traffic",
    Severity.ERROR,
    "a Service's traffic targets are not valid",
    on_the_cluster="The webhook refuses the Service.",
    fix="The percentages of all targets add up to 100; a target names a revision, or has latestRevision: true.",
    bad=GOOD + "  traffic: [{latestRevision: true, percent: 90}]\n",
    good=GOOD + "  traffic: [{latestRevision: true, percent: 100}]\n",
)
def traffic(bundle: Bundle) -> Iterator[RuleViolation]:
    for function in bundle.functions:
        targets = [*function.items("spec", "traffic")]
        if not targets:
            continue
        shares = [each.get("percent") or 0 for _, each in targets]
        total = sum(share for share in shares if isinstance(share, int))
        if total != 100:
            yield function, ("spec", "traffic"), f"the traffic of {function.name} adds up to {total} %"
        tags: set[str] = set()
        for path, target in targets:
            for message in _target_problems(target, tags):
                yield function, path, message


def _target_problems(target: dict[str, Any], tags: set[str]) -> Iterator[str]:
    percent, revision, latest, tag = (target.get(name) for name in ("percent", "revisionName", "latestRevision", "tag"))
    if isinstance(percent, int) and not 0 <= percent <= 100:
        yield f"percent must be from 0 to 100, was {percent}"
    if isinstance(latest, bool) and bool(revision) == latest:
        yield f"latestRevision is {str(latest).lower()} {'and' if revision else 'but'} revisionName is {revision!r}"
    if isinstance(revision, str) and revision and not names.is_qualified_name(revision):
        yield f"revisionName must be a revision's name, was {revision!r}"
    for name in ("configurationName", "url"):
        if target.get(name):
            yield f"a Service's traffic has no {name}"
    if isinstance(tag, str) and tag:
        if not names.is_dns_1035_label(tag):
            yield f"a tag begins with a letter and has lower-case letters, digits and -, was {tag!r}"
        if tag in tags:
            yield f"the tag {tag!r} is used twice"
        tags.add(tag)


@rule(
    "revision-name",
    Severity.ERROR,
    "a revision's name does not begin with its Service's",
    on_the_cluster="The webhook refuses the Service.",
    fix="Use SERVICE-something, or no name: Serving numbers revisions itself.",
    bad=GOOD.replace("metadata:\n      annotations", "metadata:\n      name: first\n      annotations"),
    good=GOOD.replace("metadata:\n      annotations", "metadata:\n      name: resize-first\n      annotations"),
)
def revision_name(bundle: Bundle) -> Iterator[RuleViolation]:
    path: FieldPath = ("spec", "template", "metadata", "name")
    for function in bundle.functions:
        name = function.get(*path)
        if name is not None and not (str(name).startswith(f"{function.name}-") and names.is_dns_1035_label(str(name))):
            message = (
                f"a revision of {function.name} is named {function.name}-..., with lower-case letters, was {name!r}"
            )
            yield function, path, message
