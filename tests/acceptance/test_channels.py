"""Channels, Subscriptions, Sequences and Parallels of a project that is not Darkroom, in one `darkroom up`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest

from darkroom.events.cloudevents import CloudEvent, encode_binary, new_event
from tests.scripted_http import Received, Reply, answering_server
from tests.stack import RunningStack, eventually, running_stack

MANIFESTS = """
apiVersion: messaging.knative.dev/v1alpha1
kind: NatsJetStreamChannel
metadata: {name: orders, namespace: shop}
---
apiVersion: messaging.knative.dev/v1
kind: Channel
metadata: {name: letters, namespace: shop}
spec:
  channelTemplate: {apiVersion: messaging.knative.dev/v1beta1, kind: KafkaChannel, spec: {numPartitions: 3}}
---
apiVersion: messaging.knative.dev/v1
kind: InMemoryChannel
metadata: {name: answers, namespace: shop}
---
apiVersion: messaging.knative.dev/v1
kind: Subscription
metadata: {name: stamped, namespace: shop}
spec:
  channel: {apiVersion: messaging.knative.dev/v1alpha1, kind: NatsJetStreamChannel, name: orders}
  subscriber: {uri: "URL/answer/stamped"}
  reply: {ref: {apiVersion: messaging.knative.dev/v1, kind: InMemoryChannel, name: answers}}
---
apiVersion: messaging.knative.dev/v1
kind: Subscription
metadata: {name: failing, namespace: shop}
spec:
  channel: {apiVersion: messaging.knative.dev/v1alpha1, kind: NatsJetStreamChannel, name: orders}
  subscriber: {uri: "URL/status/503"}
  delivery:
    retry: 2
    backoffPolicy: linear
    backoffDelay: PT0.1S
    deadLetterSink: {ref: {apiVersion: messaging.knative.dev/v1, kind: Channel, name: letters}}
---
apiVersion: messaging.knative.dev/v1
kind: Subscription
metadata: {name: unanswered, namespace: shop}
spec:
  channel: {apiVersion: messaging.knative.dev/v1alpha1, kind: NatsJetStreamChannel, name: orders}
  subscriber: {uri: "URL/answer/unanswered"}
  reply: {uri: "URL/status/503"}
  delivery:
    retry: 1
    backoffPolicy: linear
    backoffDelay: PT0.1S
    deadLetterSink: {uri: "URL/keep/given-up"}
---
apiVersion: messaging.knative.dev/v1
kind: Subscription
metadata: {name: answers, namespace: shop}
spec:
  channel: {apiVersion: messaging.knative.dev/v1, kind: InMemoryChannel, name: answers}
  subscriber: {uri: "URL/keep/answers"}
---
apiVersion: messaging.knative.dev/v1
kind: Subscription
metadata: {name: letters, namespace: shop}
spec:
  channel: {apiVersion: messaging.knative.dev/v1, kind: Channel, name: letters}
  subscriber: {uri: "URL/keep/letters"}
---
apiVersion: flows.knative.dev/v1
kind: Sequence
metadata: {name: steps, namespace: shop}
spec:
  channelTemplate: {apiVersion: messaging.knative.dev/v1alpha1, kind: NatsJetStreamChannel}
  steps:
    - uri: "URL/append/first"
    - uri: "URL/append/second"
      delivery: {retry: 1, backoffPolicy: linear, backoffDelay: PT0.1S}
    - uri: "URL/append/third"
  reply: {ref: {apiVersion: flows.knative.dev/v1, kind: Parallel, name: branches}}
---
apiVersion: flows.knative.dev/v1
kind: Parallel
metadata: {name: branches, namespace: shop}
spec:
  branches:
    - subscriber: {uri: "URL/append/open"}
      reply: {uri: "URL/keep/own"}
    - filter: {uri: "URL/append/passed"}
      subscriber: {uri: "URL/append/guarded"}
    - filter: {uri: "URL/status/204"}
      subscriber: {uri: "URL/append/never"}
  reply: {ref: {apiVersion: eventing.knative.dev/v1, kind: Broker, name: events}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: broker, namespace: shop}
data:
  channel-template-spec: |
    apiVersion: messaging.knative.dev/v1alpha1
    kind: NatsJetStreamChannel
---
apiVersion: eventing.knative.dev/v1
kind: Broker
metadata:
  name: events
  namespace: shop
  annotations: {eventing.knative.dev/broker.class: MTChannelBasedBroker}
spec:
  config: {apiVersion: v1, kind: ConfigMap, name: broker}
---
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {name: into-the-sequence, namespace: shop}
spec:
  broker: events
  filter: {attributes: {type: shop.order.placed}}
  subscriber: {ref: {apiVersion: flows.knative.dev/v1, kind: Sequence, name: steps}}
---
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {name: out-of-the-parallel, namespace: shop}
spec:
  broker: events
  filter: {attributes: {type: shop.step.done}}
  subscriber: {uri: "URL/keep/broker"}
"""


class Subscriber:
    """Answers as its path says.

    `/status/N` with N; `/answer/X` with an event; `/append/X` with the event's list and X; `/keep/X` with nothing.
    """

    def __init__(self) -> None:
        self.received: list[Received] = []

    def answer(self, request: Received) -> Reply:
        self.received.append(request)
        _, manner, place = request.path.split("/")
        if manner == "status":
            return Reply(status=int(place))
        if manner == "keep":
            return Reply(status=202)
        passed = [*json.loads(request.body), place] if manner == "append" else [place]
        event = new_event("shop.step.done", "/steps", passed).with_extensions(origin=request.headers["ce-origin"])
        headers, body = encode_binary(event)
        return Reply(status=200, headers=dict(headers), body=body)

    def at(self, place: str, id: str) -> list[Received]:
        """The events at a place that descend from the one with this id."""
        found = list(self.received)
        return [one for one in found if one.path.endswith(f"/{place}") and one.headers.get("ce-origin") == id]


@pytest.fixture(scope="module")
def subscriber() -> Iterator[tuple[Subscriber, str]]:
    subscriber = Subscriber()
    with answering_server(subscriber.answer) as url:
        yield subscriber, url


@pytest.fixture(scope="module")
def kept(subscriber: tuple[Subscriber, str]) -> Subscriber:
    return subscriber[0]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, subscriber: tuple[Subscriber, str]) -> Iterator[RunningStack]:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop.yaml").write_text(MANIFESTS.replace("URL", subscriber[1]))
    with running_stack(folder / "data", cwd=folder) as stack:
        yield stack


def an_order() -> CloudEvent:
    id = str(uuid4())
    return CloudEvent(
        id=id, source="/test", type="shop.order.placed", data=b"[]", datacontenttype="application/json"
    ).with_extensions(origin=id)


def post(stack: RunningStack, path: str, event: CloudEvent, *, host: str | None = None) -> httpx.Response:
    headers, body = encode_binary(event)
    return httpx.post(
        stack.addresses["broker"] + path, headers={**headers, **({} if host is None else {"Host": host})}, content=body
    )


def arrived(kept: Subscriber, place: str, order: CloudEvent, count: int = 1) -> list[Received]:
    def look() -> list[Received] | None:
        found = kept.at(place, order.id)
        return found if len(found) >= count else None

    return eventually(look, within_s=30, what=f"{count} at {place}")


@pytest.mark.parametrize(
    ("path", "host"),
    [
        ("/shop/orders-kn-jsm-channel", None),
        ("/", "orders-kn-jsm-channel.shop.svc.cluster.local"),
        ("/", "orders-kn-channel.shop.svc"),
    ],
)
def test_a_channel_takes_events_and_its_subscriptions_reply_and_dead_letter(
    stack: RunningStack, kept: Subscriber, path: str, host: str | None
) -> None:
    order = an_order()
    assert post(stack, path, order, host=host).status_code == 202
    [answer] = arrived(kept, "answers", order)
    assert json.loads(answer.body) == ["stamped"]
    [letter] = arrived(kept, "letters", order)
    assert letter.headers["ce-id"] == order.id
    assert letter.headers["ce-knativeerrorcode"] == "503"
    assert letter.headers["ce-knativeerrordest"].endswith("/status/503")
    assert "ce-knativebrokerttl" not in answer.headers


def test_a_reply_that_nobody_takes_is_sent_again_and_then_the_event_is_dead_lettered(
    stack: RunningStack, kept: Subscriber
) -> None:
    order = an_order()
    post(stack, "/shop/orders-kn-channel", order)
    [letter] = arrived(kept, "given-up", order)
    assert (letter.headers["ce-id"], letter.body) == (order.id, b"[]")
    assert letter.headers["ce-knativeerrordest"].endswith("/status/503"), "that of the reply"
    assert len(kept.at("unanswered", order.id)) == 1, "the subscriber is not asked again"
    replies = [each for each in kept.at("503", order.id) if each.headers["ce-type"] == "shop.step.done"]
    assert len(replies) == 2, "retry: 1"


@pytest.mark.parametrize("address", ["/shop/steps-kn-sequence-0-kn-jsm-channel", "/shop/events"])
def test_a_sequence_passes_each_answer_on_and_a_parallel_sends_it_into_its_branches(
    stack: RunningStack, kept: Subscriber, address: str
) -> None:
    order = an_order()
    assert post(stack, address, order).status_code == 202
    steps = ["first", "second", "third"]
    [own] = arrived(kept, "own", order)
    assert json.loads(own.body) == [*steps, "open"]
    [replied] = arrived(kept, "broker", order)
    assert json.loads(replied.body) == [*steps, "passed", "guarded"]
    arrived(kept, "204", order)
    assert kept.at("never", order.id) == [], "its filter answered nothing"


def test_what_no_channel_takes_is_refused(stack: RunningStack) -> None:
    assert post(stack, "/shop/nothing-kn-channel", an_order()).status_code == 404
    assert post(stack, "/", an_order(), host="nothing-kn-channel.shop.svc.cluster.local").status_code == 404
    assert post(stack, "/", an_order()).status_code == 404
    no_event = httpx.post(f"{stack.addresses['broker']}/shop/orders-kn-channel", content=b"{}")
    assert no_event.status_code == 400


def test_the_status_counts_a_subscriptions_deliveries_as_a_triggers(stack: RunningStack, kept: Subscriber) -> None:
    order = an_order()
    post(stack, "/shop/orders-kn-channel", order)
    arrived(kept, "letters", order)
    rows = {row["subscription"]: row for row in stack.status()["subscriptions"]}
    assert len(rows) == 5 + 3 + 6
    failing = rows["failing"]
    assert failing["channel"] == "orders"
    assert failing["delivered"] == 3 * failing["dead_lettered"]
    assert failing["retried"] == 2 * failing["dead_lettered"]
    assert (failing["lost"], failing["last_failure"]["outcome"]) == (0, "503")
    assert rows["steps-kn-sequence-0"]["subscriber"].endswith("/append/first")
    metrics = httpx.get(f"{stack.addresses['admin']}/metrics").text
    assert 'darkroom_deliveries_total{outcome="dead_lettered",trigger="subscription failing"}' in metrics


def test_a_channel_of_another_kind_is_said_to_run_on_jetstream(stack: RunningStack) -> None:
    notes = {note["name"]: note["reason"] for note in stack.status()["notes"]}
    assert notes["letters"].startswith("runs as a JetStream channel here")
    assert notes["letters"].endswith("KafkaChannel")
    assert notes["answers"].endswith("InMemoryChannel")
    assert notes["branches"].endswith("InMemoryChannel")
    assert not {"orders", "steps"} & set(notes)
