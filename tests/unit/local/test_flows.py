"""Sequences and Parallels become the channels and Subscriptions that a cluster's controllers make."""

from __future__ import annotations

from pathlib import Path

from darkroom.local.eventing.destinations import cluster_url
from darkroom.local.eventing.flows import planned_channels, planned_subscriptions
from darkroom.local.eventing.receivers import SubscriptionPlan
from darkroom.manifests import Manifests, load

SEQUENCE = """
apiVersion: flows.knative.dev/v1
kind: Sequence
metadata: {name: steps, namespace: shop}
spec:
  channelTemplate: {apiVersion: messaging.knative.dev/v1alpha1, kind: NatsJetStreamChannel}
  steps:
    - uri: "http://a.example/"
      delivery: {retry: 3, backoffPolicy: linear, backoffDelay: PT1S}
    - uri: "http://b.example/"
  reply: {uri: "http://c.example/"}
"""
PARALLEL = """
apiVersion: flows.knative.dev/v1
kind: Parallel
metadata: {name: branches, namespace: shop}
spec:
  branches:
    - subscriber: {uri: "http://a.example/"}
    - filter: {uri: "http://f.example/"}
      subscriber: {uri: "http://b.example/"}
      reply: {uri: "http://own.example/"}
  reply: {uri: "http://all.example/"}
"""
CHANNELS = """
apiVersion: messaging.knative.dev/v1
kind: Channel
metadata: {name: orders, namespace: shop}
spec:
  channelTemplate:
    apiVersion: messaging.knative.dev/v1alpha1
    kind: NatsJetStreamChannel
    spec: {delivery: {retry: 1, backoffPolicy: linear, backoffDelay: PT1S}}
"""


def loaded(folder: Path, text: str) -> Manifests:
    (folder / "flow.yaml").write_text(text)
    return load([folder / "flow.yaml"])


def link(plan: SubscriptionPlan) -> tuple[str, str, str, str | None]:
    reply = None if plan.reply is None else cluster_url(plan.reply)
    return (plan.name, plan.channel, cluster_url(plan.subscriber), reply)


def test_a_sequence_has_a_channel_for_each_step_to_which_the_step_before_replies(tmp_path: Path) -> None:
    manifests = loaded(tmp_path, SEQUENCE)
    assert [each.name for each in planned_channels(manifests)] == ["steps-kn-sequence-0", "steps-kn-sequence-1"]
    first, second = planned_subscriptions(manifests)
    to_second = "http://steps-kn-sequence-1-kn-jsm-channel.shop.svc.cluster.local"
    assert link(first) == ("steps-kn-sequence-0", "steps-kn-sequence-0", "http://a.example/", to_second)
    assert link(second) == ("steps-kn-sequence-1", "steps-kn-sequence-1", "http://b.example/", "http://c.example/")
    assert first.delivery is not None
    assert (first.delivery.retry, second.delivery) == (3, None)


def test_a_parallel_has_a_channel_of_its_own_and_one_behind_each_filter(tmp_path: Path) -> None:
    manifests = loaded(tmp_path, PARALLEL)
    assert [each.name for each in planned_channels(manifests)] == [
        "branches-kn-parallel",
        "branches-kn-parallel-0",
        "branches-kn-parallel-1",
    ]
    behind = "http://branches-kn-parallel-{}-kn-channel.shop.svc.cluster.local"
    assert [link(each) for each in planned_subscriptions(manifests)] == [
        ("branches-kn-parallel-filter-0", "branches-kn-parallel", behind.format(0), None),
        ("branches-kn-parallel-0", "branches-kn-parallel-0", "http://a.example/", "http://all.example/"),
        ("branches-kn-parallel-filter-1", "branches-kn-parallel", "http://f.example/", behind.format(1)),
        ("branches-kn-parallel-1", "branches-kn-parallel-1", "http://b.example/", "http://own.example/"),
    ]


def test_a_channel_takes_the_delivery_block_of_its_template_unless_it_has_its_own(tmp_path: Path) -> None:
    [channel] = planned_channels(loaded(tmp_path, CHANNELS))
    assert channel.delivery is not None
    assert channel.delivery.retry == 1
    own = "\n  delivery: {retry: 2, backoffPolicy: linear, backoffDelay: PT1S}\n"
    [channel] = planned_channels(loaded(tmp_path, CHANNELS.rstrip() + own))
    assert channel.delivery is not None
    assert channel.delivery.retry == 2
