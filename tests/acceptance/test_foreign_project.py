"""A project that is not Darkroom: plain Knative YAML, with or without a project file and an extension of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx

from darkroom.events.cloudevents import encode_binary, new_event
from tests.scripted_http import Reply, scripted_server
from tests.stack import eventually, running_stack

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


def up_in(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "darkroom.cli", "up", "--free-ports"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


def test_an_empty_folder_is_told_what_is_looked_for(tmp_path: Path) -> None:
    done = up_in(tmp_path)
    assert done.returncode == 1
    assert "there is nothing to run in" in done.stderr
    assert "darkroom.toml" in done.stderr


def test_an_extension_that_cannot_be_loaded_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(BROKER)
    (tmp_path / "darkroom.toml").write_text('[project]\nextension = "shop.runtime:extension"\n')
    done = up_in(tmp_path)
    assert done.returncode == 1
    assert "the project's extension shop.runtime:extension cannot be loaded: No module named 'shop'" in done.stderr
    assert "Traceback" not in done.stderr
