"""A project of plain Knative YAML, on which faults of the platform are staged (`staged_faults`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx

from darkroom.events.cloudevents import encode_binary, new_event
from tests.stack import RunningStack, eventually, running_stack
from tests.staged_faults import StagedFault, nats_stopped

PLACED, LABELLED = "shop.order.placed", "shop.parcel.labelled"
_BROKER = """
apiVersion: v1
kind: ConfigMap
metadata: {name: shop-broker, namespace: shop}
data:
  channel-template-spec: |
    apiVersion: messaging.knative.dev/v1alpha1
    kind: NatsJetStreamChannel
    spec:
      consumerConfigTemplate: {deliverPolicy: New, maxAckPending: 8}
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
_FUNCTION = """---
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {{name: {name}, namespace: shop}}
spec:
  template:
    metadata:
      annotations: {{autoscaling.knative.dev/max-scale: "2"}}
    spec:
      containerConcurrency: 2
      containers:
        - image: dev.local/shop/{name}
          env:
            - {{name: FUNCTION_TARGET, value: handle}}
            - {{name: FUNCTION_SOURCE, value: {name}.py}}
---
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {{name: {name}, namespace: shop}}
spec:
  broker: orders
  filters: [{{exact: {{type: {type}}}}}]
  subscriber: {{ref: {{apiVersion: serving.knative.dev/v1, kind: Service, name: {name}}}}}
  delivery: {{retry: 5, backoffPolicy: linear, backoffDelay: PT0.5S, timeout: PT20S}}
"""
_TAKES = 'def handle(request):\n    return "", 204\n'
_REFUSES = 'def handle(request):\n    return "no such customer", 400\n'
_CANNOT_START = "import no_such_module\n\n\n" + _TAKES


@dataclass
class Shop:
    stack: RunningStack
    folder: Path

    def send(self, type: str) -> None:
        headers, body = encode_binary(new_event(type, "/test", {"order": str(uuid4())}))
        answer = httpx.post(f"{self.stack.addresses['broker']}/shop/orders", headers=headers, content=body, timeout=30)
        assert answer.status_code == 202, answer.text

    def save(self, name: str, code: str) -> None:
        """Save a function's code, and wait until the runtime has seen that it is another."""
        before = self._versions(name)
        (self.folder / f"{name}.py").write_text(code)
        eventually(lambda: self._versions(name) != before, within_s=60, what=f"{name} is replaced, or refused")

    def _versions(self, name: str) -> object:
        row = self.stack.function(name)
        return row["revision"], row["refused"]

    @contextmanager
    def restarted_with(self, old: str, new: str) -> Iterator[None]:
        """The manifests have another text meanwhile, with which the stack is started anew."""
        file = self.folder / "shop.yaml"
        text = file.read_text()
        assert old in text
        self._restart(file, text.replace(old, new))
        try:
            yield
        finally:
            self._restart(file, text)

    def _restart(self, file: Path, text: str) -> None:
        self.stack.stop()
        file.write_text(text)
        self.stack.start()


@contextmanager
def staged_shop(folder: Path) -> Iterator[Shop]:
    functions = (("confirm", PLACED), ("label", LABELLED))
    texts = [_FUNCTION.format(name=name, type=type) for name, type in functions]
    (folder / "shop.yaml").write_text(_BROKER + "".join(texts))
    for name, _ in functions:
        (folder / f"{name}.py").write_text(_TAKES)
    with running_stack(folder / "data", "--watch", cwd=folder, verbose=False) as stack:
        yield Shop(stack, folder)


@contextmanager
def _nats_stopped(shop: Shop) -> Iterator[None]:
    with nats_stopped(shop.stack):
        yield


@contextmanager
def _import_error(shop: Shop) -> Iterator[None]:
    shop.save("label", _CANNOT_START)
    shop.send(LABELLED)
    try:
        yield
    finally:
        shop.save("label", _TAKES)


@contextmanager
def _loss_by_4xx(shop: Shop) -> Iterator[None]:
    shop.save("confirm", _REFUSES)
    shop.send(PLACED)
    try:
        yield
    finally:
        shop.save("confirm", _TAKES)


@contextmanager
def _filter_matches_nothing(shop: Shop) -> Iterator[None]:
    with shop.restarted_with(f"type: {PLACED}", "type: shop.orders.placed"):
        shop.send(PLACED)
        yield


@contextmanager
def _max_ack_pending_too_small(shop: Shop) -> Iterator[None]:
    with shop.restarted_with("maxAckPending: 8", "maxAckPending: 1"):
        yield


SHOP_FAULTS: tuple[StagedFault[Shop], ...] = (
    StagedFault(
        name="NATS is stopped",
        codes=("server.down",),
        cause=("NATS does not answer", "is stopped (SIGSTOP)", "Nothing is delivered meanwhile"),
        remedy=("kill -CONT",),
        stage=_nats_stopped,
    ),
    StagedFault(
        name="a function's import fails",
        codes=("function.crash_loop", "function.not_replaced"),
        cause=("label", "ModuleNotFoundError: No module named 'no_such_module'"),
        remedy=("Correct the import",),
        stage=_import_error,
    ),
    StagedFault(
        name="a 4xx loses events",
        codes=("trigger.loses",),
        cause=("Trigger confirm loses events", "400 no such customer", "neither retried nor dead-lettered"),
        remedy=("Let confirm answer 503",),
        stage=_loss_by_4xx,
    ),
    StagedFault(
        name="a Trigger's filter matches nothing",
        codes=("trigger.matches_nothing",),
        cause=("shop.orders.placed", f"{PLACED} came 1 time; did you mean that?"),
        remedy=("Correct the type in the filter of Trigger confirm",),
        stage=_filter_matches_nothing,
    ),
    StagedFault(
        name="maxAckPending is too small",
        codes=("trigger.held_back",),
        cause=("maxAckPending is 1, confirm could process 4 at once",),
        remedy=("Set maxAckPending to 8",),
        stage=_max_ack_pending_too_small,
    ),
)
