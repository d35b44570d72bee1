"""Every kustomization renders, and a cluster's API server would take what comes out."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import kubernetes_validate
import pytest
import yaml

from tests.manifests.rendering import COMBINATIONS, ROOT, Resource, all_kustomizations, named, rendered

KUBERNETES = "1.36"
CRDS = Path(os.environ.get("KNATIVE_CRDS", ROOT.parent / "shared" / "crds"))
"""A folder of YAML files with CustomResourceDefinitions, whatever else is in them. They are their projects' own and are
not kept here."""
SOURCES = """\
serving-crds.yaml from a release of github.com/knative/serving, \
eventing-crds.yaml of github.com/knative/eventing, \
eventing-jsm.yaml of github.com/knative-extensions/eventing-natss, \
standard-install.yaml of github.com/kubernetes-sigs/gateway-api"""
needs_definitions = pytest.mark.skipif(
    "KNATIVE_CRDS" not in os.environ and not CRDS.is_dir(),
    reason=f"no custom resource definitions in {CRDS}. Set KNATIVE_CRDS to a folder that holds these files: {SOURCES}",
)
OF_OTHERS = {"cert-manager.io/v1", "postgresql.cnpg.io/v1"}
"""Custom resources whose definitions are not here."""
WITHOUT_SCHEMA = {("gateway.networking.k8s.io/v1beta1", "ReferenceGrant")}


def custom(resource: Resource) -> bool:
    group = resource["apiVersion"].partition("/")[0]
    return str(group).endswith(("knative.dev", "gateway.networking.k8s.io"))


@cache
def schemas() -> dict[tuple[str, str], Any]:
    found = {}
    for file in CRDS.glob("*.yaml"):
        for crd in yaml.load_all(file.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if not crd or crd["kind"] != "CustomResourceDefinition":
                continue
            for version in crd["spec"]["versions"]:
                schema = version["schema"]["openAPIV3Schema"]
                # The API server looks after these itself.
                schema.get("properties", {}).pop("metadata", None)
                key = (f"{crd['spec']['group']}/{version['name']}", crd["spec"]["names"]["kind"])
                found[key] = jsonschema_rs.Draft4Validator(strict(schema, root=True))
    return found


def schema_of(resource: Resource) -> Any:
    key = (resource["apiVersion"], resource["kind"])
    assert key in schemas(), f"KNATIVE_CRDS={CRDS} has no definition of {' '.join(key)}. It should hold {SOURCES}"
    return schemas()[key]


def strict(schema: Any, *, root: bool = False) -> Any:
    """As `kubectl apply --validate=strict` has it: what the schema does not name is an error."""
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    made = {key: value for key, value in schema.items() if not key.startswith("x-kubernetes") and key != "format"}
    if "properties" in made:
        made["properties"] = {name: strict(each) for name, each in made["properties"].items()}
        if "backoffPolicy" in made["properties"]:
            # The Trigger's own schema forgets it.
            made["properties"].setdefault("timeout", {"type": "string"})
        if root:
            made["properties"] |= {"apiVersion": {}, "kind": {}, "metadata": {}}
        # Also where the server would keep what it does not know: nobody reads it there.
        if "additionalProperties" not in made:
            made["additionalProperties"] = False
    for key in ("items", "additionalProperties", "not"):
        if key in made:
            made[key] = strict(made[key])
    # Branches name only some of the fields; the fields themselves are named beside them.
    return made


@cache
def fits_kubernetes(document: str) -> None:
    """Raises where it does not. Most resources are the same in most combinations, and judging one takes long."""
    kubernetes_validate.validate(json.loads(document), KUBERNETES, strict=True)


def test_what_kubernetes_would_not_take_is_found() -> None:
    (policy, *_) = (each for each in rendered("knative/base") if each["kind"] == "NetworkPolicy")
    policy["spec"]["podSelektor"] = policy["spec"].pop("podSelector")
    with pytest.raises(kubernetes_validate.ValidationError):
        fits_kubernetes(json.dumps(policy))


def test_every_kustomization_is_tried() -> None:
    tried = {part for parts in COMBINATIONS.values() for part in parts}
    assert tried == all_kustomizations()


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_it_renders_and_the_api_server_would_take_it(combination: str) -> None:
    resources = rendered(combination)
    assert resources
    names = [named(resource) + resource["apiVersion"] for resource in resources]
    assert len(names) == len(set(names))
    for resource in resources:
        if not custom(resource) and resource["apiVersion"] not in OF_OTHERS:
            fits_kubernetes(json.dumps(resource))


@needs_definitions
@pytest.mark.parametrize("combination", COMBINATIONS)
def test_the_custom_resource_definitions_take_it(combination: str) -> None:
    judged = [
        each
        for each in rendered(combination)
        if custom(each) and (each["apiVersion"], each["kind"]) not in WITHOUT_SCHEMA
    ]
    assert judged or combination.startswith("nats-eventing/"), "NATS alone needs none"
    for resource in judged:
        errors = [f"{list(e.instance_path)}: {e.message}" for e in schema_of(resource).iter_errors(resource)]
        assert not errors, named(resource)


@needs_definitions
def test_a_field_that_no_schema_names_is_found() -> None:
    (trigger, *_) = (each for each in rendered("knative/base") if each["kind"] == "Trigger")
    trigger["spec"]["deliverry"] = trigger["spec"].pop("delivery")
    assert [*schema_of(trigger).iter_errors(trigger)]
