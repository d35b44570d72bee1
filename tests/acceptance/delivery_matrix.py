"""What follows from each answer of a subscriber, as one table, for Triggers and for Subscriptions of a channel.

The table is Knative's on JetStream channels: measured on a cluster for Triggers, read in eventing-natss and
knative/eventing for Subscriptions. It can be run against a cluster: this module prints the manifests that it needs.

    python -m tests.acceptance.delivery_matrix http://HOST:PORT | kubectl apply -f -

where the address is the one at which the cluster reaches the test's subscriber. See tests/README.md.
"""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import dataclass
from typing import Literal

from tests.scripted_http import Reply

NAMESPACE = "delivery-matrix"
BROKER = "matrix"
RETRY = 2
NOBODY_LISTENS = "http://127.0.0.1:9/"
"""On any machine: the port of `discard`, which nobody serves any more."""

JETSTREAM = "messaging.knative.dev/v1alpha1"
REPLY_TYPE = "matrix.reply"
RELEASED = threading.Event()
"""Set at the end, for the answers that hang."""

Kind = Literal["trigger", "subscription"]
KINDS: tuple[Kind, ...] = ("trigger", "subscription")


@dataclass(frozen=True, kw_only=True)
class Letter:
    code: str | None = None
    """knativeerrorcode; None: the dead letter has none of the three attributes."""
    data: bytes | None = None
    """Decoded knativeerrordata; None: it is not looked at."""


@dataclass(frozen=True, kw_only=True)
class Expected:
    deliveries: int = 1
    letter: Letter | None = None
    replies: int = 0
    lost: bool = False


@dataclass(frozen=True, kw_only=True)
class Case:
    name: str
    replies: tuple[Reply, ...]
    """One for each delivery, in order; the last one for all that follow. The ids of events are made anew each time."""
    expected: Expected
    for_subscription: Expected | None = None
    """Where a Subscription's differs."""
    retry: int = RETRY
    timeout: str | None = None
    subscriber: str | None = None
    """Another address than the test's own subscriber."""
    has_sink: bool = True
    sink_status: int = 202

    @property
    def event_type(self) -> str:
        return f"matrix.{self.name}"

    @property
    def channel(self) -> str:
        return f"matrix-{self.name}"

    def expected_for(self, kind: Kind) -> Expected:
        return (self.for_subscription or self.expected) if kind == "subscription" else self.expected


_TAKEN = Expected()
_LOST_AT_ONCE = Expected(lost=True)
_ALL = RETRY + 1
_REPLY_HEADERS = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/matrix", "ce-type": REPLY_TYPE}
_STRUCTURED = {"specversion": "1.0", "id": "2", "source": "/matrix", "type": REPLY_TYPE, "data": {"a": 1}}
_LONG = b"x" * 5000


def _status(status: int, body: bytes = b"", **headers: str) -> Reply:
    return Reply(status=status, body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})


def _spent(code: str | None = None, data: bytes | None = None) -> Expected:
    """All attempts, and a dead letter."""
    return Expected(deliveries=_ALL, letter=Letter(code=code, data=data))


CASES = (
    # --- success
    Case(name="200-without-body", replies=(_status(200),), expected=_TAKEN),
    Case(name="202", replies=(_status(202),), expected=_TAKEN),
    Case(name="204", replies=(_status(204),), expected=_TAKEN),
    Case(name="200-with-body", replies=(_status(200, b"OK"),), expected=_spent(), for_subscription=_TAKEN),
    Case(
        name="200-with-json",
        replies=(_status(200, b'{"status":"ok"}', content_type="application/json"),),
        expected=_spent(),
        for_subscription=_TAKEN,
    ),
    Case(
        name="200-with-event",
        replies=(Reply(status=200, headers=_REPLY_HEADERS, body=b"{}"),),
        expected=Expected(replies=1),
    ),
    Case(
        name="200-with-event-without-data",
        replies=(Reply(status=200, headers=_REPLY_HEADERS),),
        expected=Expected(replies=1),
    ),
    Case(
        name="202-with-structured-event",
        replies=(_status(202, json.dumps(_STRUCTURED).encode(), content_type="application/cloudevents+json"),),
        expected=Expected(replies=1),
    ),
    # --- neither retried nor dead-lettered
    Case(name="302-without-location", replies=(_status(302),), expected=_LOST_AT_ONCE),
    Case(name="304", replies=(_status(304),), expected=_LOST_AT_ONCE),
    Case(name="400", replies=(_status(400, b"no"),), expected=_LOST_AT_ONCE),
    Case(name="404", replies=(_status(404),), expected=_LOST_AT_ONCE),
    Case(name="409", replies=(_status(409),), expected=_LOST_AT_ONCE),
    Case(name="500-then-400", replies=(_status(500), _status(400)), expected=Expected(deliveries=2, lost=True)),
    # --- on the last delivery, whatever fails is dead-lettered
    Case(
        name="400-without-retries",
        replies=(_status(400, b"no"),),
        retry=0,
        expected=Expected(letter=Letter(code="400", data=b"no")),
    ),
    Case(name="404-without-retries", replies=(_status(404),), retry=0, expected=Expected(letter=Letter(code="404"))),
    Case(
        name="400-at-last",
        replies=(_status(500), _status(503), _status(400, b"no")),
        expected=_spent("400", b"no"),
    ),
    # --- retried
    Case(name="408", replies=(_status(408),), expected=_spent("408")),
    Case(name="429-retry-after", replies=(_status(429, b"later", Retry_After="60"),), expected=_spent("429", b"later")),
    Case(name="500", replies=(_status(500, b"broken"),), expected=_spent("500", b"broken")),
    Case(name="502", replies=(_status(502),), expected=_spent("502")),
    Case(name="503-retry-after", replies=(_status(503, b"", Retry_After="60"),), expected=_spent("503")),
    Case(name="500-with-a-long-body", replies=(_status(500, _LONG),), expected=_spent("500", _LONG[:768])),
    Case(name="503-then-204", replies=(_status(503), _status(204)), expected=Expected(deliveries=2)),
    Case(name="503-503-204", replies=(_status(503), _status(503), _status(204)), expected=Expected(deliveries=3)),
    Case(name="hung-up", replies=(Reply(hangs_up=True),), expected=_spent("500")),
    Case(name="reset", replies=(Reply(resets=True),), expected=_spent("500")),
    Case(
        name="refused",
        replies=(),
        subscriber=NOBODY_LISTENS,
        expected=Expected(deliveries=0, letter=Letter(code="500")),
    ),
    Case(
        name="timeout",
        replies=(Reply(waits_for=RELEASED),),
        timeout="PT0.5S",
        expected=_spent(),
        for_subscription=_spent("500"),
    ),
    # --- no dead letter
    Case(name="no-sink", replies=(_status(503),), has_sink=False, expected=Expected(deliveries=_ALL, lost=True)),
    Case(
        name="sink-is-down",
        replies=(_status(503),),
        sink_status=503,
        expected=Expected(deliveries=_ALL, lost=True),
    ),
)


# --- manifests -------------------------------------------------------------------------------------------------------


def manifests(subscriber_url: str) -> list[dict[str, object]]:
    """A Broker with a Trigger for each case, and for each case a channel with a Subscription, all on JetStream."""
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        *_broker(),
        _trigger("replies", REPLY_TYPE, {"uri": f"{subscriber_url}/replies/trigger"}, None),
        *(_trigger(case.name, case.event_type, *_ends(case, "trigger", subscriber_url)) for case in CASES),
        *({**_CHANNEL, "metadata": _named(case.channel)} for case in CASES),
        *(_subscription(case, subscriber_url) for case in CASES),
    ]


_CHANNEL: dict[str, object] = {
    "apiVersion": JETSTREAM,
    "kind": "NatsJetStreamChannel",
    "spec": {"stream": {"config": {"storage": "Memory", "maxAge": "1h"}}},
}


def _named(name: str) -> dict[str, object]:
    return {"name": name, "namespace": NAMESPACE}


def _broker() -> list[dict[str, object]]:
    data = {"channel-template-spec": json.dumps(_CHANNEL)}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "name": BROKER}
    annotations = {"eventing.knative.dev/broker.class": "MTChannelBasedBroker"}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _named(BROKER), "data": data},
        {
            "apiVersion": "eventing.knative.dev/v1",
            "kind": "Broker",
            "metadata": {**_named(BROKER), "annotations": annotations},
            "spec": {"config": config},
        },
    ]


def _ends(case: Case, kind: Kind, subscriber_url: str) -> tuple[dict[str, object], dict[str, object]]:
    """The subscriber and the delivery block."""
    delivery: dict[str, object] = {"retry": case.retry, "backoffPolicy": "linear", "backoffDelay": "PT0.1S"}
    if case.timeout is not None:
        delivery["timeout"] = case.timeout
    if case.has_sink:
        delivery["deadLetterSink"] = {"uri": f"{subscriber_url}/letters/{kind}/{case.name}"}
    return {"uri": case.subscriber or f"{subscriber_url}/{kind}/{case.name}"}, delivery


def _trigger(
    name: str, type: str, subscriber: dict[str, object], delivery: dict[str, object] | None
) -> dict[str, object]:
    spec: dict[str, object] = {"broker": BROKER, "filter": {"attributes": {"type": type}}, "subscriber": subscriber}
    if delivery is not None:
        spec["delivery"] = delivery
    return {"apiVersion": "eventing.knative.dev/v1", "kind": "Trigger", "metadata": _named(name), "spec": spec}


def _subscription(case: Case, subscriber_url: str) -> dict[str, object]:
    subscriber, delivery = _ends(case, "subscription", subscriber_url)
    spec = {
        "channel": {"apiVersion": JETSTREAM, "kind": "NatsJetStreamChannel", "name": case.channel},
        "subscriber": subscriber,
        "reply": {"uri": f"{subscriber_url}/replies/subscription"},
        "delivery": delivery,
    }
    return {
        "apiVersion": "messaging.knative.dev/v1",
        "kind": "Subscription",
        "metadata": _named(case.name),
        "spec": spec,
    }


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("one argument is needed: the address at which the cluster reaches the test's subscriber")
    for manifest in manifests(sys.argv[1].rstrip("/")):
        sys.stdout.write(f"---\n{json.dumps(manifest, indent=1)}\n")
