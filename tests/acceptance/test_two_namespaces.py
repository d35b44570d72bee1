"""Plain Knative YAML in two namespaces that use the same names, with sinks and subscribers at paths of Services."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import nats
import pytest

from darkroom.events.cloudevents import encode_binary, json_object, new_event
from tests.stack import RunningStack, eventually, running_stack

FUNCTION = """
import os
import urllib.request
import functions_framework

seen = []
direct = urllib.request.build_opener(urllib.request.ProxyHandler({{}}))

@functions_framework.http
def handle(request):
    if request.path == "/seen":
        return {{"namespace": "{namespace}", "seen": seen, "env": dict(os.environ)}}
    if request.path == "/emit":
        headers = {{"Ce-Id": "1", "Ce-Source": "/emit", "Ce-Type": "sent", "Ce-Specversion": "1.0"}}
        with direct.open(urllib.request.Request(os.environ["K_SINK"], b"", headers, method="POST")) as answer:
            return str(answer.status)
    seen.append([request.full_path.rstrip("?"), request.headers.get("Ce-Type", "")])
    return "", 204
"""
OLD_STYLE = """
import functions_framework

@functions_framework.cloud_event
def handle(event):
    print(event["id"])
"""
SERVICE = """
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}{labels}}}
spec:
  template:
    metadata: {{annotations: {{autoscaling.knative.dev/min-scale: "{least}"}}}}
    spec:
      containers:
        - image: dev.local/function
          env:
            - {{name: FUNCTION_TARGET, value: handle}}
            - {{name: FUNCTION_SOURCE, value: {file}}}
---
"""
BROKER = """
apiVersion: v1
kind: ConfigMap
metadata: {{name: channel, namespace: {namespace}}}
data:
  channel-template-spec: |
    apiVersion: messaging.knative.dev/v1alpha1
    kind: NatsJetStreamChannel
---
apiVersion: eventing.knative.dev/v1
kind: Broker
metadata:
  name: events
  namespace: {namespace}
  annotations: {{eventing.knative.dev/broker.class: MTChannelBasedBroker}}
spec:
  config: {{apiVersion: v1, kind: ConfigMap, name: channel}}
---
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {{name: same, namespace: {namespace}}}
spec:
  broker: events
  subscriber: {{ref: {{apiVersion: serving.knative.dev/v1, kind: Service, name: same}}, uri: "inbox?from={namespace}"}}
---
apiVersion: sources.knative.dev/v1
kind: PingSource
metadata: {{name: same, namespace: {namespace}}}
spec:
  schedule: "* * * * * *"
  sink: {{ref: {{apiVersion: serving.knative.dev/v1, kind: Service, name: same}}, uri: /ping}}
---
"""
BINDING = """
apiVersion: sources.knative.dev/v1
kind: SinkBinding
metadata: {name: sender, namespace: b}
spec:
  subject: {apiVersion: serving.knative.dev/v1, kind: Service, name: sender}
  sink: {ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: same}, uri: /bound}
---
"""
OLD_STYLE_TRIGGER = """
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {name: old, namespace: a}
spec:
  broker: events
  filters: [{exact: {type: for.old}}]
  subscriber: {uri: "http://old.a.svc.cluster.local"}
---
"""
CLUSTER_LOCAL = ", labels: {networking.knative.dev/visibility: cluster-local}"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    folder = tmp_path_factory.mktemp("namespaces")
    manifests = ""
    for namespace in ("a", "b"):
        (folder / f"{namespace}.py").write_text(FUNCTION.format(namespace=namespace))
        manifests += SERVICE.format(name="same", namespace=namespace, file=f"{namespace}.py", labels="", least=0)
        manifests += BROKER.format(namespace=namespace)
    (folder / "old.py").write_text(OLD_STYLE)
    manifests += SERVICE.format(name="old", namespace="a", file="old.py", labels=CLUSTER_LOCAL, least=0)
    manifests += SERVICE.format(name="sender", namespace="b", file="b.py", labels="", least=1)
    (folder / "all.yaml").write_text(manifests + BINDING + OLD_STYLE_TRIGGER)
    with running_stack(folder / "data", cwd=folder) as running:
        yield running


def seen_by(stack: RunningStack, service: str, namespace: str) -> dict[str, Any]:
    host = {"Host": f"{service}.{namespace}.localhost"}
    answer = httpx.get(f"{stack.addresses['api']}/seen", headers=host, timeout=60)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def publish(stack: RunningStack, namespace: str, type: str) -> None:
    headers, body = encode_binary(new_event(type, "/test", {}))
    answer = httpx.post(f"{stack.addresses['broker']}/{namespace}/events", headers=headers, content=body)
    assert answer.status_code == 202


def test_a_trigger_runs_the_function_of_its_own_namespace_at_the_path_of_its_uri(stack: RunningStack) -> None:
    publish(stack, "a", "only.in.a")
    eventually(
        lambda: ["/inbox?from=a", "only.in.a"] in seen_by(stack, "same", "a")["seen"],
        within_s=30,
        what="a's function has the event",
    )
    found = seen_by(stack, "same", "b")
    assert found["namespace"] == "b"
    assert "only.in.a" not in {type for _, type in found["seen"]}
    assert {"a/same", "b/same", "sender"} <= {row["service"] for row in stack.status()["functions"]}
    assert stack.trigger("a/same")["delivered"] >= 1
    assert stack.trigger("b/same")["delivered"] == 0


@pytest.mark.parametrize("namespace", ["a", "b"])
def test_a_ping_source_reaches_its_namespaces_service(stack: RunningStack, namespace: str) -> None:
    ping = ["/ping", "dev.knative.sources.ping"]
    eventually(lambda: ping in seen_by(stack, "same", namespace)["seen"], within_s=30, what="a ping came")


def test_a_sink_bindings_address_needs_no_resolver_and_is_there_only_where_it_binds(stack: RunningStack) -> None:
    sink = seen_by(stack, "sender", "b")["env"]["K_SINK"]
    assert sink.startswith("http://127.0.0.1:"), sink
    assert sink.endswith("/bound")
    assert "K_SINK" not in seen_by(stack, "same", "b")["env"]

    sent = httpx.get(f"{stack.addresses['api']}/emit", headers={"Host": "sender.b.localhost"}, timeout=60)

    assert (sent.status_code, sent.text) == (200, "204"), sent.text
    assert ["/bound", "sent"] in seen_by(stack, "same", "b")["seen"]


def test_an_answer_that_counts_as_a_failure_says_so_in_events_and_status(stack: RunningStack) -> None:
    publish(stack, "a", "for.old")
    said = "200 with a body that is no CloudEvent counts as a failure"
    [lost] = eventually(lambda: stack.events(action="event.lost"), within_s=30, what="there is no deadLetterSink")
    assert said in lost["why"]
    assert said in stack.trigger("old")["last_failure"]["why"]


def test_an_event_that_was_put_straight_on_the_stream_is_dropped_as_the_clusters_filter_does(
    stack: RunningStack,
) -> None:
    event = new_event("past.the.ingress", "/test", {})

    async def put() -> None:
        connection = await nats.connect(stack.addresses["nats"])
        payload = json.dumps(json_object(event)).encode()
        await connection.jetstream().publish("b.events-kne-trigger._knative", payload)
        await connection.close()

    asyncio.run(put())

    lost = eventually(
        lambda: [each for each in stack.events(action="event.lost") if each["id"] == event.id],
        within_s=30,
        what="the event is dropped",
    )
    assert "the event has no TTL" in lost[0]["outcome"]
    assert "past.the.ingress" not in {type for _, type in seen_by(stack, "same", "b")["seen"]}
