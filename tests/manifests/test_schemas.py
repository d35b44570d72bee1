"""Every kustomization renders, and a cluster's API server would take what comes out."""

from __future__ import annotations

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
"""A folder of CustomResourceDefinitions: Knative Serving and Eventing, eventing-natss, the Gateway API."""
OF_OTHERS = {"cert-manager.io/v1"}
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
            kubernetes_validate.validate(resource, KUBERNETES, strict=True)


@pytest.mark.skipif(not CRDS.is_dir(), reason=f"no CustomResourceDefinitions in {CRDS}; set KNATIVE_CRDS")
@pytest.mark.parametrize("combination", COMBINATIONS)
def test_the_custom_resource_definitions_take_it(combination: str) -> None:
    for resource in rendered(combination):
        key = (resource["apiVersion"], resource["kind"])
        if custom(resource) and key not in WITHOUT_SCHEMA:
            errors = [f"{list(e.instance_path)}: {e.message}" for e in schemas()[key].iter_errors(resource)]
            assert not errors, named(resource)


@pytest.mark.skipif(not CRDS.is_dir(), reason=f"no CustomResourceDefinitions in {CRDS}; set KNATIVE_CRDS")
def test_a_field_that_no_schema_names_is_found() -> None:
    (trigger, *_) = (each for each in rendered("knative/base") if each["kind"] == "Trigger")
    trigger["spec"]["deliverry"] = trigger["spec"].pop("delivery")
    assert [*schemas()["eventing.knative.dev/v1", "Trigger"].iter_errors(trigger)]
