"""Who may speak to whom: computed from the rendered network policies, and held against the table of the guide."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.manifests.rendering import (
    COMBINATIONS,
    CONSOLE,
    INSTALLATIONS,
    MONITORING,
    OVERLAYS,
    ROOT,
    Resource,
    has_pods,
    pod_spec,
    rendered,
)
from tests.manifests.test_references import selected

Pair = tuple[str, str, str]
"""From, to, port."""
OUR_NAMESPACES = {"darkroom", "nats-io"}
EVERY_POD = "every pod"
_ROW = re.compile(
    r"^\| (?P<from>[^|]+) \| (?P<to>[^|]+) \| (?P<ports>(?:\d+(?:/UDP)?(?:, )?)+) \| (?P<why>[^|]+) \|$", re.M
)


def documented() -> set[Pair]:
    text = (ROOT / "docs" / "operations.md").read_text()
    table = text[text.index("## Who may speak to whom") :].partition("\n## ")[0]
    return {
        (source, target, port)
        for row in _ROW.finditer(table)
        for source in names(row["from"])
        for target in names(row["to"])
        for port in row["ports"].split(", ")
    }


def names(cell: str) -> list[str]:
    return [name.strip("` ") for name in cell.split(",")]


def allowed(resources: list[Resource]) -> set[tuple[str, Pair]]:
    """Each pair with the end, Ingress or Egress, at which it is allowed."""
    return {pair for each in resources if each["kind"] == "NetworkPolicy" for pair in pairs(each, resources)}


def pairs(policy: Resource, resources: list[Resource]) -> Iterator[tuple[str, Pair]]:
    namespace, spec = policy["metadata"]["namespace"], policy["spec"]
    ours = subjects(spec["podSelector"], namespace, resources)
    for direction, side in (("Ingress", "from"), ("Egress", "to")):
        for rule in spec.get(direction.lower(), ()):
            # An empty rule would allow everything.
            assert rule.get(side), policy["metadata"]["name"]
            assert rule.get("ports"), policy["metadata"]["name"]
            for peer in rule[side]:
                for other in peers(peer, namespace, resources):
                    for own in ours:
                        for port in rule["ports"]:
                            ends = (other, own) if direction == "Ingress" else (own, other)
                            yield direction, (*ends, port_name(port))


def subjects(selector: dict[str, Any], namespace: str, resources: list[Resource]) -> list[str]:
    return selected(selector, namespace, resources) if selector else [EVERY_POD]


def peers(peer: dict[str, Any], namespace: str, resources: list[Resource]) -> list[str]:
    if "ipBlock" in peer:
        return ["public addresses"]
    if "namespaceSelector" in peer:
        namespace = peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
    if namespace not in OUR_NAMESPACES:
        pods = (peer.get("podSelector") or {}).get("matchLabels") or {}
        return ["/".join([namespace, *pods.values()])]
    # One of ours by its name, whether it is part of this combination or not.
    selector = peer["podSelector"]
    return [
        *(selector.get("matchLabels") or {}).values(),
        *(value for each in selector.get("matchExpressions", ()) for value in each["values"]),
    ]


def port_name(port: dict[str, Any]) -> str:
    return f"{port['port']}/UDP" if port.get("protocol") == "UDP" else str(port["port"])


@pytest.fixture(scope="module")
def installed() -> list[Resource]:
    return rendered("knative/installations/production")


@pytest.fixture(scope="module")
def watched() -> list[Resource]:
    return rendered(f"{INSTALLATIONS[1]} + {MONITORING}")


@pytest.fixture(scope="module")
def consoles() -> list[list[Resource]]:
    return [rendered(name) for name in COMBINATIONS if name.endswith(CONSOLE) and "production" in name]


def test_the_allowed_pairs_are_the_table_of_the_operations_guide(
    installed: list[Resource], watched: list[Resource], consoles: list[list[Resource]]
) -> None:
    outside_storage = rendered(f"{OVERLAYS[1]} + knative/components/aws-s3")
    seaweedfs = rendered(f"{OVERLAYS[1]} + knative/components/seaweedfs")
    postgres = rendered(f"{OVERLAYS[1]} + knative/components/postgres")
    combinations = (installed, outside_storage, seaweedfs, watched, postgres, *consoles)
    computed = {pair for resources in combinations for _, pair in allowed(resources)}
    assert computed == documented()


def test_development_allows_no_other_pairs_than_production(installed: list[Resource]) -> None:
    of = {pair for _, pair in allowed(installed)}
    assert {pair for _, pair in allowed(rendered(INSTALLATIONS[0]))} == of


@pytest.fixture(scope="module")
def with_seaweedfs() -> list[Resource]:
    return rendered(f"{OVERLAYS[1]} + knative/components/seaweedfs")


@pytest.fixture(scope="module")
def with_console() -> list[Resource]:
    return rendered(f"{INSTALLATIONS[1]} + {CONSOLE}")


@pytest.fixture(scope="module")
def with_postgres() -> list[Resource]:
    return rendered(f"{OVERLAYS[1]} + knative/components/postgres")


@pytest.mark.parametrize("combination", ["installed", "watched", "with_seaweedfs", "with_console", "with_postgres"])
def test_a_pair_of_ours_is_allowed_at_both_ends(request: pytest.FixtureRequest, combination: str) -> None:
    resources: list[Resource] = request.getfixturevalue(combination)
    pods = {each["metadata"]["name"] for each in resources if has_pods(each)}
    between_ours = {end: set[Pair]() for end in ("Ingress", "Egress")}
    for end, pair in allowed(resources):
        if pods >= set(pair[:2]):
            between_ours[end].add(pair)
    assert between_ours["Ingress"] == between_ours["Egress"]


@pytest.mark.parametrize("namespace", sorted(OUR_NAMESPACES))
def test_everything_else_is_denied_in_both_directions(installed: list[Resource], namespace: str) -> None:
    (deny,) = (
        each
        for each in installed
        if each["kind"] == "NetworkPolicy"
        and (each["metadata"]["namespace"], each["metadata"]["name"]) == (namespace, "default-deny")
    )
    assert deny["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_no_pod_of_ours_runs_where_nothing_is_denied(installed: list[Resource]) -> None:
    assert {each["metadata"]["namespace"] for each in installed if pod_spec(each) is not None} == OUR_NAMESPACES
