"""A project that is not Darkroom: plain Knative YAML, with or without a project file and an extension of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from darkroom.events.cloudevents import encode_binary, new_event
from tests.scripted_http import Reply, scripted_server
from tests.stack import RunningStack, eventually, refused_up, running_stack

BROKER = """
apiVersion: v1
kind: ConfigMap
metadata: {name: shop-broker, namespace: shop}
data:
  channel-template-spec: |
    apiVersion: messaging.knative.dev/v1alpha1
    kind: NatsJetStreamChannel
    spec: {}
---
apiVersion: eventing.knative.dev/v1
kind: Broker
metadata:
  name: orders
  namespace: shop
  annotations: {eventing.knative.dev/broker.class: MTChannelBasedBroker}
spec:
  config: {apiVersion: v1, kind: ConfigMap, name: shop-broker, namespace: shop}
"""
TRIGGER = """
---
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {name: to-warehouse, namespace: shop}
spec:
  broker: orders
  subscriber: {uri: "%s"}
  delivery:
    retry: 1
    backoffPolicy: linear
    backoffDelay: PT0.1S
    timeout: PT5S
    deadLetterSink: {uri: "%s"}
"""
EXTENSION = """
from darkroom.telemetry.metric import MetricKind, Metric, Source

ORDERS = Metric(name="shop.orders", kind=MetricKind.GAUGE, unit="{order}", description="Orders.", source=Source.RUNTIME)


class Shop:
    code = ()

    def __init__(self, run):
        self._run = run
        self._prepared = ()

    @property
    def status(self):
        return {"shop": lambda: {"prepared": self._prepared, "orders_url": self._run.variables["ORDERS_URL"]}}

    @property
    def readings(self):
        return {"orders": lambda: {ORDERS: {(): 7}}}

    def prepare(self, servers):
        self._prepared = sorted(servers)

    def route_template(self, path):
        return ""

    def close(self):
        return None


class Extension:
    def attach(self, run):
        return Shop(run)

    def preload(self):
        return None


extension = Extension()
"""
PROJECT_FILE = """
manifests = ["deploy"]

[resources.redis]
env = { ORDERS_URL = "{url}" }

[project]
extension = "shop.runtime:extension"
"""


def test_a_folder_of_plain_knative_yaml_runs_with_nats_alone(tmp_path: Path) -> None:
    with scripted_server(Reply(status=204)) as warehouse:
        (tmp_path / "shop.yaml").write_text(BROKER + TRIGGER % (warehouse.url, warehouse.url))
        with running_stack(tmp_path / "data", cwd=tmp_path) as stack:
            assert [server["name"] for server in stack.status()["servers"]] == ["nats"]
            assert {"redis", "s3"} & {name for name, url in stack.addresses.items() if url} == set()
            assert "jobs" not in stack.status()
            headers, body = encode_binary(new_event("shop.order.placed", "/test", {"order": 1}))
            answer = httpx.post(f"{stack.addresses['broker']}/shop/orders", headers=headers, content=body)
            assert answer.status_code == 202
            eventually(
                lambda: stack.trigger("to-warehouse")["delivered"] == 1, within_s=20, what="the order is delivered"
            )


def test_a_project_adds_its_own_counts_and_names_the_servers_it_needs(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "broker.yaml").write_text(BROKER)
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "runtime.py").write_text(EXTENSION)
    (tmp_path / "darkroom.toml").write_text(PROJECT_FILE)
    with running_stack(tmp_path / "data", cwd=tmp_path) as stack:
        assert sorted(server["name"] for server in stack.status()["servers"]) == ["nats", "redis"]
        assert stack.status()["shop"] == {"prepared": ["nats", "redis"], "orders_url": stack.addresses["redis"]}
        metrics = httpx.get(f"{stack.addresses['admin']}/metrics").text
        assert "\nshop_orders 7.0\n" in metrics


STRANGER = """
apiVersion: eventing.knative.dev/v1
kind: Broker
metadata: {name: default, namespace: shop}
---
apiVersion: v1
kind: Secret
metadata: {name: stock, namespace: shop}
stringData: {PASSWORD: pst}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: warehouse, namespace: shop, labels: {app: warehouse}}
spec:
  replicas: 1
  selector: {matchLabels: {app: warehouse}}
  template:
    metadata: {labels: {app: warehouse}, annotations: {prometheus.io/scrape: "true"}}
    spec:
      nodeSelector: {disk: ssd}
      containers:
        - name: main
          image: ghcr.io/shop/warehouse:2
          ports: [{name: http, containerPort: 9090}]
          env:
            - {name: FUNCTION_TARGET, value: receive}
            - {name: FUNCTION_SOURCE, value: warehouse.py}
          envFrom: [{secretRef: {name: stock}}]
---
apiVersion: v1
kind: Service
metadata: {name: stock, namespace: shop}
spec: {selector: {app: warehouse}, ports: [{port: 80, targetPort: http}]}
---
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {name: to-stock, namespace: shop}
spec: {broker: default, subscriber: {ref: {apiVersion: v1, kind: Service, name: stock}, uri: /in}}
---
apiVersion: sources.knative.dev/v1
kind: SinkBinding
metadata: {name: stock, namespace: shop}
spec:
  subject: {apiVersion: apps/v1, kind: Deployment, selector: {matchLabels: {app: warehouse}}}
  sink: {ref: {apiVersion: eventing.knative.dev/v1, kind: Broker, name: default}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop, namespace: shop}
spec:
  rules:
    - {matches: [{path: {value: /stock}}], backendRefs: [{name: stock, port: 80}]}
    - {matches: [{path: {value: /old}}], backendRefs: [{name: gone, port: 80}]}
"""
UNKNOWN = """
---
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {name: to-audit, namespace: shop}
spec: {broker: default, subscriber: {ref: {apiVersion: apps/v1, kind: Deployment, name: audit}}}
---
apiVersion: kafka.strimzi.io/v1beta2
kind: KafkaTopic
metadata: {name: orders, namespace: shop}
spec: {partitions: 3}
"""
WAREHOUSE = """
import os

import functions_framework


@functions_framework.http
def receive(request):
    if request.method == "POST":
        print("received", request.path, flush=True)
        return "", 204
    return f"{os.environ['PASSWORD']} {os.environ['K_SINK']}"
"""


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    folder = tmp_path_factory.mktemp("stranger")
    (folder / "shop.yaml").write_text(STRANGER + UNKNOWN)
    (folder / "warehouse.py").write_text(WAREHOUSE)
    (folder / "mkdocs.yml").write_text("site_name: shop\n")
    with running_stack(folder / "data", cwd=folder) as stack:
        yield stack


def test_a_deployment_behind_its_service_takes_events_and_requests(stranger: RunningStack) -> None:
    headers, body = encode_binary(new_event("shop.order.placed", "/test", {"order": 1}))
    assert httpx.post(f"{stranger.addresses['broker']}/shop/default", headers=headers, content=body).status_code == 202
    eventually(lambda: stranger.trigger("to-stock")["delivered"] == 1, within_s=20, what="the order is delivered")
    expected = f"pst {stranger.addresses['broker']}/shop/default"
    by_name = httpx.get(f"{stranger.addresses['api']}/", headers={"Host": "stock.shop.localhost"})
    assert (by_name.status_code, by_name.text) == (200, expected)
    assert httpx.get(f"{stranger.addresses['api']}/stock").text == expected
    assert httpx.get(f"{stranger.addresses['api']}/old").status_code == 404


def test_what_does_not_run_is_named_at_the_start_and_in_the_status(stranger: RunningStack) -> None:
    left_out = {(each["kind"], each["name"]): each["reason"] for each in stranger.status()["left_out"]}
    assert set(left_out) == {
        ("Trigger", "to-audit"),
        ("KafkaTopic", "orders"),
        ("HTTPRoute", "shop"),
        ("file", "mkdocs.yml"),
    }
    assert left_out["HTTPRoute", "shop"] == "rule 2: there is no Service 'gone' in the namespace 'shop'"
    assert stranger.status()["notes"][0]["reason"].startswith("runs on NATS JetStream here")
    log = stranger.log.read_text()
    assert "KafkaTopic shop/orders (shop.yaml:" in log
    assert log.count("runs on NATS JetStream here") == 1
    command = [sys.executable, "-m", "darkroom.cli", "status", "--data", str(stranger.data)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    assert "left out\tKafkaTopic\tshop/orders" in told
    assert f"address\tbroker\tshop/default\t{stranger.addresses['broker']}/shop/default" in told


def test_the_banner_speaks_of_what_runs(stranger: RunningStack) -> None:
    log, api = stranger.log.read_text(), stranger.addresses["api"]
    assert f"curl -H 'Host: stock.shop.localhost' {api}/" in log
    assert f"{stranger.addresses['broker']}/shop/default" in log
    for word in ("api/v1", "picture", "Redis", "S3", "API keys"):
        assert word not in log


def test_with_strict_what_would_be_left_out_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(BROKER + UNKNOWN)
    told = refused_up(tmp_path, "--strict")
    assert "shop.yaml:" in told
    assert "KafkaTopic shop/orders is left out: the local runtime runs no KafkaTopic" in told


def test_a_folder_of_which_nothing_runs_says_why(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services: {}\n")
    (tmp_path / "topic.yaml").write_text(UNKNOWN)
    told = refused_up(tmp_path)
    assert "nothing in these manifests runs here" in told
    assert "KafkaTopic shop/orders" in told
    assert "a Compose file" in told


def test_an_empty_folder_is_told_what_is_looked_for(tmp_path: Path) -> None:
    told = refused_up(tmp_path)
    assert "there is nothing to run in" in told
    assert "darkroom.toml" in told


def test_an_extension_that_cannot_be_loaded_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(BROKER)
    (tmp_path / "darkroom.toml").write_text('[project]\nextension = "shop.runtime:extension"\n')
    told = refused_up(tmp_path)
    assert "the project's extension shop.runtime:extension cannot be loaded: No module named 'shop'" in told
