"""Whatever a manifest refers to is there, or is one of the few things that are said to come from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.manifests.rendering import (
    COMBINATIONS,
    INSTALLATIONS,
    OVERLAYS,
    ROOT,
    Resource,
    has_pods,
    is_knative_service,
    is_postgres_cluster,
    named,
    pod_labels,
    pod_spec,
    rendered,
)

Wanted = tuple[str, str, str]
"""Kind, namespace, name."""
FROM_ELSEWHERE: set[Wanted] = {
    ("Gateway", "darkroom", "darkroom"),
    ("Service", "kourier-system", "kourier-internal"),
}
KINDS_REFERRED_TO = {"Broker", "ConfigMap", "Knative Service", "Secret", "ServiceAccount"}
"""In each whole: were references no longer found, none would be missing."""
WHOLE = [name for name in COMBINATIONS if name.startswith((*OVERLAYS, *INSTALLATIONS))]
_SECRET_ROW = re.compile(r"^\| `(?P<name>[\w-]+)` \| `(?P<namespace>[\w-]+)` \| (?P<keys>[^|]+) \|", re.M)


def documented_secrets() -> dict[Wanted, set[str]]:
    """The table in docs/operations.md, with each Secret's keys."""
    text = (ROOT / "docs" / "operations.md").read_text()
    text = text[text.index("### 5. Secrets") :].partition("\n### ")[0]
    return {
        ("Secret", row["namespace"], row["name"]): set(re.findall(r"`([^`]+)`", row["keys"]))
        for row in _SECRET_ROW.finditer(text)
    }


# --- what is referred to ---------------------------------------------------------------------------------------------


def references(resource: Resource) -> Iterator[Wanted]:
    namespace = resource["metadata"].get("namespace", "")
    if pod_spec(resource) is not None:
        yield from (wanted for wanted, _ in of_pods(resource))
    spec = resource.get("spec") or {}
    match resource["kind"]:
        case "Trigger":
            yield "Broker", namespace, spec["broker"]
            yield from destination(spec["subscriber"], namespace)
            yield from destination(spec["delivery"]["deadLetterSink"], namespace)
        case "Broker" if "config" in spec:
            yield "ConfigMap", spec["config"]["namespace"], spec["config"]["name"]
        case "PingSource":
            yield from destination(spec["sink"], namespace)
        case "SinkBinding":
            yield "Knative Service", namespace, spec["subject"]["name"]
            yield from destination(spec["sink"], namespace)
        case "HTTPRoute":
            for parent in spec["parentRefs"]:
                yield "Gateway", namespace, parent["name"]
            for rule in spec["rules"]:
                for backend in rule["backendRefs"]:
                    yield "Service", backend.get("namespace", namespace), backend["name"]
                host = rule["filters"][0]["urlRewrite"]["hostname"].split(".")
                yield "Knative Service", host[1], host[0]
        case "StatefulSet":
            yield "Service", namespace, spec["serviceName"]
        case "Cluster":
            yield from of_postgres(resource)
        case "ConfigMap" if resource["metadata"]["name"] == "config-nats":
            for name in re.findall(r"^\s+name: (\S+)", resource["data"]["eventing-nats"], re.M):
                yield "Secret", namespace, name
        case _:
            pass


def of_postgres(resource: Resource) -> Iterator[Wanted]:
    """The Secrets with the passwords of a cluster's owner and roles."""
    namespace, spec = resource["metadata"]["namespace"], resource["spec"]
    yield "Secret", namespace, spec["bootstrap"]["initdb"]["secret"]["name"]
    for role in spec["managed"]["roles"]:
        yield "Secret", namespace, role["passwordSecret"]["name"]


def destination(found: dict[str, Any], namespace: str) -> Iterator[Wanted]:
    kind = found["ref"]["kind"]
    yield (
        "Knative Service" if kind == "Service" else kind,
        found["ref"].get("namespace", namespace),
        found["ref"]["name"],
    )


def of_pods(resource: Resource) -> Iterator[tuple[Wanted, set[str]]]:
    """With the keys that are asked for."""
    namespace, spec = resource["metadata"]["namespace"], pod_spec(resource) or {}
    yield ("ServiceAccount", namespace, spec["serviceAccountName"]), set()
    for container in spec["containers"]:
        for source in container.get("envFrom", ()):
            kind, reference = (
                ("ConfigMap", source.get("configMapRef"))
                if "configMapRef" in source
                else ("Secret", source["secretRef"])
            )
            yield (kind, namespace, reference["name"]), set()
        for variable in container.get("env", ()):
            if key := (variable.get("valueFrom") or {}).get("secretKeyRef"):
                yield ("Secret", namespace, key["name"]), set() if key.get("optional") else {key["key"]}
            if key := (variable.get("valueFrom") or {}).get("configMapKeyRef"):
                yield ("ConfigMap", namespace, key["name"]), {key["key"]}
    for volume in spec.get("volumes", ()):
        if "configMap" in volume:
            yield ("ConfigMap", namespace, volume["configMap"]["name"]), set()
        if "secret" in volume:
            yield ("Secret", namespace, volume["secret"]["secretName"]), set()
        for source in (volume.get("projected") or {}).get("sources", ()):
            yield ("Secret", namespace, source["secret"]["name"]), {item["key"] for item in source["secret"]["items"]}


def there(resources: list[Resource]) -> set[Wanted]:
    return {
        (
            "Knative Service" if is_knative_service(each) else each["kind"],
            each["metadata"].get("namespace", ""),
            each["metadata"]["name"],
        )
        for each in resources
    }


# --- the tests -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("combination", WHOLE)
def test_every_reference_resolves(combination: str) -> None:
    resources = rendered(combination)
    known = there(resources) | FROM_ELSEWHERE | set(documented_secrets())
    for resource in resources:
        missing = set(references(resource)) - known
        assert not missing, named(resource)
    assert {kind for each in resources for kind, _, _ in references(each)} >= KINDS_REFERRED_TO


@pytest.mark.parametrize("combination", WHOLE)
def test_every_selector_finds_pods(combination: str) -> None:
    resources = rendered(combination)
    selectors = [(each, selector) for each in resources if (selector := own_selector(each)) is not None]
    assert {each["kind"] for each, _ in selectors} >= {"NetworkPolicy", "PodDisruptionBudget"}
    for resource, selector in selectors:
        assert selected(selector, resource["metadata"]["namespace"], resources), named(resource)


@pytest.mark.parametrize("combination", WHOLE)
def test_the_secrets_that_an_installation_needs_are_in_the_operations_guide(combination: str) -> None:
    documented = documented_secrets()
    for secret, keys in wanted_secrets(combination).items():
        assert keys <= documented[secret], secret


def test_the_operations_guide_names_no_secret_that_nothing_needs() -> None:
    needed = {secret for combination in WHOLE for secret in wanted_secrets(combination)}
    assert set(documented_secrets()) == needed


def wanted_secrets(combination: str) -> dict[Wanted, set[str]]:
    """Each Secret that a combination refers to, with the keys that are asked for."""
    wanted: dict[Wanted, set[str]] = {}
    for resource in rendered(combination):
        if pod_spec(resource) is not None:
            for reference, keys in of_pods(resource):
                if reference[0] == "Secret":
                    wanted.setdefault(reference, set()).update(keys)
        elif is_postgres_cluster(resource):
            wanted.update({reference: {"username", "password"} for reference in of_postgres(resource)})
        elif resource["kind"] == "ConfigMap":
            wanted.update({reference: set() for reference in references(resource)})
    return wanted


def own_selector(resource: Resource) -> dict[str, Any] | None:
    """Of the pods in its own namespace that a resource is about."""
    spec = resource.get("spec") or {}
    match resource["kind"]:
        case "NetworkPolicy":
            return dict(spec["podSelector"])
        case "PodDisruptionBudget" | "StatefulSet" | "Deployment":
            return dict(spec["selector"])
        case "Service" if not is_knative_service(resource):
            return {"matchLabels": spec["selector"]}
        case _:
            return None


def selected(selector: dict[str, Any], namespace: str, resources: list[Resource]) -> list[str]:
    """Names of what runs the pods that a selector finds."""
    return [
        each["metadata"]["name"]
        for each in resources
        if has_pods(each) and each["metadata"]["namespace"] == namespace and matches(selector, pod_labels(each))
    ]


def matches(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    wanted = selector.get("matchLabels") or {}
    expressions = selector.get("matchExpressions") or []
    assert all(expression["operator"] == "In" for expression in expressions)
    return all(labels.get(name) == value for name, value in wanted.items()) and all(
        labels.get(expression["key"]) in expression["values"] for expression in expressions
    )
