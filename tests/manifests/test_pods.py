"""Every pod is restricted, every image pinned, no file holds a secret; overlays change what they say and no more."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
import yaml

from tests.manifests.rendering import (
    COMBINATIONS,
    OVERLAYS,
    ROOT,
    Resource,
    is_knative_service,
    named,
    pod_spec,
    rendered,
    rendered_text,
)

_PINNED = re.compile(r"[^:@\s]+(/[^:@\s]+)+:(?!latest$)[\w.-]*\d[\w.-]*(@sha256:[0-9a-f]{64})?")
_SECRET_SHAPES = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    re.compile(r"://[^/\s:@$]+:[^/\s@$]+@(?!redis\.)"),
    re.compile(r"\bAKIA[0-9A-Z]{16}\b"),
    re.compile(r"^\s*kind: Secret\s*$", re.M),
    re.compile(r"(?i)^\s*(?:-\s*)?(?:password|secret_key|secretkey|token)\s*:\s*[\"']?\w", re.M),
)


def running_pods(combination: str) -> list[Resource]:
    found = [each for each in rendered(combination) if pod_spec(each) is not None]
    assert found or combination == "nats-eventing", "only the Broker and its channel run none"
    return found


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_every_pod_is_restricted(combination: str) -> None:
    """As the Pod Security Standards' level "restricted" has it, and a read-only root beyond it."""
    for resource in running_pods(combination):
        spec = pod_spec(resource) or {}
        assert spec["automountServiceAccountToken"] is False, named(resource)
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), named(resource)
        of_pod = spec.get("securityContext") or {}
        for volume in spec.get("volumes", ()):
            assert set(volume) <= {"name", "configMap", "secret", "emptyDir", "projected"}, named(resource)
        for container in [*spec["containers"], *spec.get("initContainers", ())]:
            security = {**of_pod, **container["securityContext"]}
            assert security["runAsNonRoot"] is True, named(resource)
            assert security["runAsUser"] > 0, named(resource)
            assert security["seccompProfile"] == {"type": "RuntimeDefault"}, named(resource)
            assert security["allowPrivilegeEscalation"] is False, named(resource)
            assert security["capabilities"] == {"drop": ["ALL"]}, named(resource)
            assert security["readOnlyRootFilesystem"] is True, named(resource)
            assert container["resources"]["limits"]["memory"], named(resource)


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_every_image_has_a_pinned_version(combination: str) -> None:
    for resource in running_pods(combination):
        for container in (pod_spec(resource) or {})["containers"]:
            assert _PINNED.fullmatch(container["image"]), (named(resource), container["image"])


@pytest.mark.parametrize("image", ["nats", "docker.io/library/nats", "a/b:latest", "a/b:stable", "nats:2.15"])
def test_an_image_without_a_version_or_a_registry_is_found(image: str) -> None:
    assert not _PINNED.fullmatch(image)


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_no_rendered_manifest_holds_a_secret(combination: str) -> None:
    text = rendered_text(combination)
    assert [shape.pattern for shape in _SECRET_SHAPES if shape.search(text)] == []


def test_no_file_holds_a_secret() -> None:
    files = {
        room: [file for file in (ROOT / room).rglob("*") if file.is_file()] for room in ("knative", "nats-eventing")
    }
    assert all(files.values()), "there is nothing to look through"
    for file in itertools.chain(*files.values()):
        assert [shape.pattern for shape in _SECRET_SHAPES if shape.search(file.read_text())] == [], file


@pytest.mark.parametrize(
    "line",
    [
        "-----BEGIN RSA PRIVATE KEY-----",
        "url: redis://ingest:hunter2@10.0.0.1/0",
        "key: AKIA0123456789ABCDEF",
        "kind: Secret",
        "  - password: hunter2",
    ],
)
def test_a_secret_of_each_shape_is_found(line: str) -> None:
    assert any(shape.search(f"a: b\n{line}\n") for shape in _SECRET_SHAPES)


# --- servers ----------------------------------------------------------------------------------------------------------

SERVERS = {"StatefulSet", "Deployment"}
_DEFAULTS = {"periodSeconds": 10, "timeoutSeconds": 1, "failureThreshold": 3}


def seconds_until_killed(probe: dict[str, Any]) -> int:
    settings = {**_DEFAULTS, **probe}
    return int(settings["periodSeconds"] * settings["failureThreshold"])


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_every_server_is_given_time_to_start_and_is_restarted_when_it_hangs(combination: str) -> None:
    for resource in rendered(combination):
        for container in (
            (pod_spec(resource) or {"containers": []})["containers"] if resource["kind"] in SERVERS else []
        ):
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container), named(resource)
            assert container["startupProbe"]["periodSeconds"] <= 5, named(resource)
            assert seconds_until_killed(container["startupProbe"]) >= 120, named(resource)
            # A busy server is slow, not dead.
            assert seconds_until_killed(container["livenessProbe"]) >= 60, named(resource)
            assert container["livenessProbe"]["timeoutSeconds"] >= 5, named(resource)


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_clients_of_a_stateful_server_have_an_address_that_outlives_its_pods(combination: str) -> None:
    """A headless name does not exist while no pod is ready, and resolvers remember that."""
    resources = rendered(combination)
    services = [each for each in resources if each["kind"] == "Service" and each["apiVersion"] == "v1"]
    for server in (each for each in resources if each["kind"] == "StatefulSet"):
        labels = server["spec"]["template"]["metadata"]["labels"]
        found = {
            each["metadata"]["name"]: each["spec"].get("clusterIP") == "None"
            for each in services
            if each["metadata"]["namespace"] == server["metadata"]["namespace"]
            and each["spec"]["selector"].items() <= labels.items()
        }
        assert found == {server["metadata"]["name"]: False, server["spec"]["serviceName"]: True}


# --- what overlays change in the Broker's channel ---------------------------------------------------------------------


def template(combination: str) -> dict[str, Any]:
    (found,) = (
        each
        for each in rendered(combination)
        if each["kind"] == "ConfigMap" and each["metadata"]["name"] == "darkroom-broker"
    )
    channel: dict[str, Any] = yaml.safe_load(found["data"]["channel-template-spec"])
    return channel


def test_production_changes_the_replicas_of_the_stream_and_nothing_else() -> None:
    expected = template("nats-eventing")
    expected["spec"]["stream"]["config"]["replicas"] = 3
    assert template(OVERLAYS[1]) == expected


def test_development_changes_the_throttle_and_nothing_else() -> None:
    expected = template("nats-eventing")
    expected["spec"]["consumerConfigTemplate"]["maxAckPending"] = 4
    assert template(OVERLAYS[0]) == expected


def test_development_runs_one_of_each_and_from_zero() -> None:
    resources = rendered("knative/installations/development")
    replicas = [each["spec"]["replicas"] for each in resources if each["kind"] == "StatefulSet"]
    assert set(replicas) == {1}
    annotations = [
        each["spec"]["template"]["metadata"]["annotations"] for each in resources if is_knative_service(each)
    ]
    scales = {
        tuple(each[f"autoscaling.knative.dev/{bound}"] for bound in ("min-scale", "max-scale")) for each in annotations
    }
    assert scales == {("0", "1")}
