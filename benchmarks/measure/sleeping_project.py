"""A small project whose one function sleeps as long as its event says: its service time is set, and needs no core."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

NAMESPACE, SERVICE, TRIGGER, BROKER = "default", "sleeper", "sleeper", "default"
EVENT_TYPE = "dev.benchmark.sleep"

_FUNCTION = """\
import time

import flask
import functions_framework


@functions_framework.http
def sleeper(request: flask.Request) -> flask.typing.ResponseReturnValue:
    time.sleep(request.get_json()["seconds"])
    return "", 204
"""

_SERVICE = """\
apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  name: sleeper
  namespace: default
  labels:
    networking.knative.dev/visibility: cluster-local
spec:
  template:
    metadata:
      annotations:
{annotations}
    spec:
      containerConcurrency: {concurrency}
      timeoutSeconds: 60
      containers:
        - image: dev.local/benchmark/sleeper:1
          env:
            - name: FUNCTION_TARGET
              value: sleeper
            - name: FUNCTION_SOURCE
              value: functions/sleeper/main.py
            - name: THREADS
              value: "{threads}"
            - name: WORKERS
              value: "1"
          resources:
            requests:
              cpu: 500m
              memory: 256Mi
"""

_BROKER = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: sleep-broker
  namespace: default
data:
  channel-template-spec: |
    apiVersion: messaging.knative.dev/v1alpha1
    kind: NatsJetStreamChannel
    spec:
      stream:
        config:
          retention: Interest
          storage: File
          maxAge: 24h
          duplicateWindow: 2m
      consumerConfigTemplate:
        deliverPolicy: New
        ackWait: 90s
        maxAckPending: {max_ack_pending}
---
apiVersion: eventing.knative.dev/v1
kind: Broker
metadata:
  name: default
  namespace: default
  annotations:
    eventing.knative.dev/broker.class: MTChannelBasedBroker
spec:
  config:
    apiVersion: v1
    kind: ConfigMap
    name: sleep-broker
    namespace: default
---
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata:
  name: sleeper
  namespace: default
spec:
  broker: default
  filter:
    attributes:
      type: dev.benchmark.sleep
  subscriber:
    ref:
      apiVersion: serving.knative.dev/v1
      kind: Service
      name: sleeper
  delivery:
    retry: 3
    backoffPolicy: exponential
    backoffDelay: PT0.2S
    timeout: PT65S
"""


def write_project(folder: Path, *, annotations: Mapping[str, str], concurrency: int, max_ack_pending: int) -> Path:
    """Write the project's files, and return its folder. `annotations` have no prefix."""
    (folder / "functions/sleeper").mkdir(parents=True)
    (folder / "knative").mkdir()
    (folder / "functions/sleeper/main.py").write_text(_FUNCTION)
    (folder / "darkroom.toml").write_text('manifests = ["knative"]\n')
    lines = "\n".join(f'        autoscaling.knative.dev/{name}: "{text}"' for name, text in annotations.items())
    service = _SERVICE.format(annotations=lines, concurrency=concurrency, threads=max(concurrency, 1))
    (folder / "knative/service.yaml").write_text(service)
    (folder / "knative/broker.yaml").write_text(_BROKER.format(max_ack_pending=max_ack_pending))
    return folder
