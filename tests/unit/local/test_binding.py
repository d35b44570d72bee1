from __future__ import annotations

import json
from pathlib import Path

import pytest

from darkroom.local.revisions.binding import Binding, bindings, with_binding
from darkroom.manifests import Destination, ManifestError, load
from darkroom.manifests.revision import Revision

BINDING = """
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: shop, namespace: n}
spec:
  template:
    spec:
      containers:
        - image: dev.local/shop
          env: [{name: K_SINK, value: http://of.the/manifest}]
---
apiVersion: sources.knative.dev/v1
kind: SinkBinding
metadata: {name: shop, namespace: n}
spec:
  subject: {apiVersion: serving.knative.dev/v1, kind: Service, name: shop}
  sink: {uri: "http://sink.example/"}
"""
SHOP = Revision(
    namespace="n", service="shop", number=1, env={"K_SINK": "http://of.the/manifest", "OWN": "1"}, timeout_s=30
)


def binding(folder: Path, more: str = "") -> Binding:
    (folder / "shop.yaml").write_text(BINDING + more)
    return bindings(load([folder / "shop.yaml"]))["n", "shop"]


def test_a_binding_without_overrides_sets_an_empty_variable_as_the_cluster_does(tmp_path: Path) -> None:
    assert binding(tmp_path).variables("http://broker") == {"K_SINK": "http://broker", "K_CE_OVERRIDES": ""}


def test_overrides_are_the_json_that_the_cluster_writes(tmp_path: Path) -> None:
    overridden = binding(tmp_path, "  ceOverrides: {extensions: {region: eu}}\n")
    assert json.loads(overridden.variables("http://broker")["K_CE_OVERRIDES"]) == {"extensions": {"region": "eu"}}


def test_overrides_with_a_name_that_no_event_may_have_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="Bad-Name"):
        binding(tmp_path, "  ceOverrides: {extensions: {Bad-Name: x}}\n")


def test_a_bound_service_gets_a_new_revision_and_the_bindings_sink_wins() -> None:
    of_binding = Binding(sink=Destination(uri="http://sink.example/"), extensions=None)

    after = with_binding(SHOP, of_binding, "http://sink.example/")

    assert after.name == "shop-00002"
    assert after.env == {"K_SINK": "http://sink.example/", "K_CE_OVERRIDES": "", "OWN": "1"}
    assert SHOP.env["K_SINK"] == "http://of.the/manifest"
