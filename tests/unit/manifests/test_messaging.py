"""Channels, Subscriptions and flows: what is read of them, and what the cluster's webhooks refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from darkroom.manifests import ChannelTemplate, ManifestError, Manifests, load

CHANNEL = """
apiVersion: messaging.knative.dev/v1
kind: Channel
metadata: {name: orders}
"""
SUBSCRIPTION = """
---
apiVersion: messaging.knative.dev/v1
kind: Subscription
metadata: {name: warehouse}
spec:
  channel: {apiVersion: messaging.knative.dev/v1, kind: Channel, name: orders}
  subscriber: {uri: "http://127.0.0.1:9/"}
"""
SEQUENCE = """
apiVersion: flows.knative.dev/v1
kind: Sequence
metadata: {name: steps}
spec:
  channelTemplate: {apiVersion: messaging.knative.dev/v1, kind: InMemoryChannel}
  steps:
    - uri: "http://127.0.0.1:9/0"
"""
PARALLEL = """
apiVersion: flows.knative.dev/v1
kind: Parallel
metadata: {name: branches}
spec:
  branches:
    - filter: {uri: "http://127.0.0.1:9/filter"}
      subscriber: {uri: "http://127.0.0.1:9/subscriber"}
"""
JETSTREAM = """
apiVersion: messaging.knative.dev/v1alpha1
kind: NatsJetStreamChannel
metadata: {name: orders}
spec:
  stream: {config: {maxAge: 24h, retention: Interest}}
  consumerConfigTemplate: {ackWait: 5s, deliverPolicy: New}
"""
KAFKA = """
apiVersion: messaging.knative.dev/v1beta1
kind: KafkaChannel
metadata: {name: orders}
spec: {numPartitions: 3, retentionDuration: PT12H}
"""
FILES = {
    "Channel": CHANNEL,
    "Subscription": CHANNEL + SUBSCRIPTION,
    "Sequence": SEQUENCE,
    "Parallel": PARALLEL,
    "NatsJetStreamChannel": JETSTREAM,
    "KafkaChannel": KAFKA,
}


def loaded(folder: Path, text: str) -> Manifests:
    (folder / "messaging.yaml").write_text(text)
    return load([folder / "messaging.yaml"])


def test_a_channel_without_a_template_is_in_memory_as_is_knatives_default(tmp_path: Path) -> None:
    [channel] = loaded(tmp_path, CHANNEL).messaging_channels
    assert channel.kind == "Channel"
    template = channel.spec.channel_template
    assert template.kind == "InMemoryChannel"
    assert template.spec.template() == ChannelTemplate(
        retention="Interest", storage="Memory", deliver_policy="New", deduplicate=False
    )


@pytest.mark.parametrize(
    ("text", "template"),
    [
        (
            JETSTREAM,
            ChannelTemplate(retention="Interest", max_age_s=86400, ack_wait_s=5, deliver_policy="New"),
        ),
        (KAFKA, ChannelTemplate(max_age_s=43200, deliver_policy="New", deduplicate=False)),
    ],
)
def test_each_kind_of_channel_has_its_settings_on_jetstream(
    tmp_path: Path, text: str, template: ChannelTemplate
) -> None:
    [channel] = loaded(tmp_path, text).messaging_channels
    assert channel.spec.template() == template  # type: ignore[union-attr]


REFUSED = {
    "a template without a version": (
        "Sequence",
        "{apiVersion: messaging.knative.dev/v1, kind: InMemoryChannel}",
        "{kind: InMemoryChannel}",
        "spec.channelTemplate.apiVersion: is missing",
    ),
    "a sequence without steps": ("Sequence", '\n    - uri: "http://127.0.0.1:9/0"', " []", "has no steps"),
    "a step without a destination": (
        "Sequence",
        'uri: "http://127.0.0.1:9/0"',
        "delivery: {retry: 1, backoffPolicy: linear, backoffDelay: PT1S}",
        "one of ref and uri is needed",
    ),
    "a branch without a subscriber": (
        "Parallel",
        '\n      subscriber: {uri: "http://127.0.0.1:9/subscriber"}',
        "",
        "spec.branches[0].subscriber: is missing",
    ),
    "a Subscription without a subscriber": (
        "Subscription",
        '  subscriber: {uri: "http://127.0.0.1:9/"}\n',
        "",
        "spec.subscriber: is missing",
    ),
    "a channel in another namespace": (
        "Subscription",
        "name: orders}\n  subscriber",
        "name: orders, namespace: other}\n  subscriber",
        "a Subscription and its channel are in the same namespace",
    ),
    "negative retries": (
        "Subscription",
        "  subscriber:",
        "  delivery: {retry: -1, backoffPolicy: linear, backoffDelay: PT1S}\n  subscriber:",
        "retry",
    ),
    "a misspelt field": ("Subscription", "subscriber:", "subcriber:", 'did you mean "subscriber"?'),
    "a duration in days": ("NatsJetStreamChannel", "maxAge: 24h", "maxAge: 1d", "must be a Go duration"),
    "an unknown scope": (
        "NatsJetStreamChannel",
        "{name: orders}",
        '{name: orders, annotations: {eventing.knative.dev/scope: "galaxy"}}',
        "galaxy",
    ),
}


@pytest.mark.parametrize(("kind", "found", "put", "message"), REFUSED.values(), ids=REFUSED)
def test_what_a_cluster_refuses_is_refused_with_a_line_and_a_reason(
    tmp_path: Path, kind: str, found: str, put: str, message: str
) -> None:
    text = FILES[kind]
    assert found in text
    with pytest.raises(ManifestError) as refused:
        loaded(tmp_path, text.replace(found, put))
    assert message in str(refused.value)
    assert "messaging.yaml:" in str(refused.value)


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_the_tables_own_files_are_accepted(tmp_path: Path, text: str) -> None:
    loaded(tmp_path, text)


def test_a_flow_over_a_kind_of_channel_that_does_not_run_here_is_left_out(tmp_path: Path) -> None:
    manifests = loaded(tmp_path, SEQUENCE.replace("InMemoryChannel", "RabbitmqChannel"))
    [left_out] = manifests.left_out
    assert left_out.label == "Sequence default/steps"
    assert "must be InMemoryChannel or NatsJetStreamChannel or KafkaChannel" in left_out.reason


def test_the_subscribers_that_controllers_fill_in_are_ignored_with_a_note(tmp_path: Path) -> None:
    manifests = loaded(tmp_path, KAFKA.replace("numPartitions: 3,", "numPartitions: 3, subscribers: [],"))
    assert manifests.left_out == ()
    assert any("write Subscriptions" in note.reason for note in manifests.notes)


def test_a_subscription_of_a_channel_that_is_left_out_is_left_out_too(tmp_path: Path) -> None:
    template = "spec: {channelTemplate: {apiVersion: example.com/v1, kind: Pipe}}"
    manifests = loaded(tmp_path, CHANNEL.rstrip() + f"\n{template}" + SUBSCRIPTION)
    assert [each.label for each in manifests.left_out] == ["Channel default/orders", "Subscription default/warehouse"]
    assert not manifests.runs_something
