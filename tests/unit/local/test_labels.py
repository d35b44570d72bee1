"""Services are known by namespace and name; what people read has the namespace where the name is ambiguous."""

from __future__ import annotations

from pathlib import Path

from darkroom.local.children.logs import LogDirectory
from darkroom.local.front.routes import RouteTable
from darkroom.local.reporting import report_nothing
from darkroom.local.revisions.environment import revisions
from darkroom.local.revisions.fleet import Fleet
from darkroom.local.revisions.instances import InstanceContext
from darkroom.local.revisions.launching import Launcher
from darkroom.local.revisions.limit import InstanceLimit
from darkroom.manifests import load

SERVICE = """
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  template:
    spec:
      containers:
        - image: dev.local/function
          env:
            - {{name: FUNCTION_TARGET, value: handle}}
            - {{name: FUNCTION_SOURCE, value: "{namespace}.py"}}
---
"""
ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: same, namespace: b}
spec:
  rules: [{backendRefs: [{name: same, port: 80}]}]
"""
NAMES = (("a", "same"), ("b", "same"), ("b", "other"), ("a", "redis"))


def manifests_of(folder: Path) -> Path:
    file = folder / "services.yaml"
    file.write_text("".join(SERVICE.format(namespace=namespace, name=name) for namespace, name in NAMES) + ROUTE)
    return file


def test_a_label_has_the_namespace_where_the_name_alone_is_ambiguous_or_a_servers(tmp_path: Path) -> None:
    found = revisions(load([manifests_of(tmp_path)]), settings={})
    assert [revision.key for revision in found] == list(NAMES)
    assert [revision.label for revision in found] == ["a/same", "b/same", "other", "a/redis"]


def test_each_service_has_a_pool_a_scaler_and_a_log_of_its_own(tmp_path: Path) -> None:
    logs = LogDirectory(tmp_path / "logs")
    context = InstanceContext(
        project_root=tmp_path, data_dir=tmp_path, launcher=Launcher(root=tmp_path, data=tmp_path), logs=logs
    )
    fleet = Fleet(InstanceLimit(4), report_nothing)
    for revision in revisions(load([manifests_of(tmp_path)]), settings={}):
        fleet.add(revision, context)
    assert set(fleet.pools) == set(fleet.scalers) == set(fleet.activator.services) == set(NAMES)
    assert {pool.revision.env["FUNCTION_SOURCE"] for key, pool in fleet.pools.items() if key[0] == "a"} == {"a.py"}
    files = {logs.path(pool.revision.label).name for pool in fleet.pools.values()}
    assert files == {"a.same.log", "b.same.log", "other.log", "a.redis.log"}


def test_a_route_leads_to_the_service_of_its_own_namespace(tmp_path: Path) -> None:
    table = RouteTable(load([manifests_of(tmp_path)]).routes)
    backend = table.find(method="GET", host="x", path="/", headers={})
    assert backend is not None
    assert backend.key == ("b", "same")
