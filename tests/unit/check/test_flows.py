"""Sequences, Parallels and Channels: their channel templates, steps, branches and delivery blocks are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from darkroom.check import Finding, Severity, check_texts

SINK = "{ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: recovery}}"
TEMPLATE = """\
  channelTemplate:
    apiVersion: messaging.knative.dev/v1alpha1
    kind: NatsJetStreamChannel
    spec:
      stream: {config: {retention: Interest, maxAge: 168h, discard: New}}
      consumerConfigTemplate: {deliverPolicy: New}
"""
DELIVERY = f"""\
      delivery:
        retry: 3
        backoffPolicy: exponential
        backoffDelay: PT1S
        timeout: PT60S
        deadLetterSink: {SINK}
"""
SEQUENCE = f"""\
apiVersion: flows.knative.dev/v1
kind: Sequence
metadata: {{name: pictures}}
spec:
{TEMPLATE}\
  steps:
    - ref: {{apiVersion: serving.knative.dev/v1, kind: Service, name: resize}}
{DELIVERY}\
  reply: {{uri: "http://example.com/done"}}
"""
PARALLEL = f"""\
apiVersion: flows.knative.dev/v1
kind: Parallel
metadata: {{name: pictures}}
spec:
{TEMPLATE}\
  branches:
    - filter: {{uri: "http://example.com/is-large"}}
      subscriber: {{ref: {{apiVersion: serving.knative.dev/v1, kind: Service, name: resize}}}}
{DELIVERY}\
"""
CHANNEL = f"apiVersion: messaging.knative.dev/v1\nkind: Channel\nmetadata: {{name: pictures}}\nspec:\n{TEMPLATE}"
SUBSCRIPTION = """\
apiVersion: messaging.knative.dev/v1
kind: Subscription
metadata: {name: resize}
spec:
  channel: {apiVersion: messaging.knative.dev/v1alpha1, kind: NatsJetStreamChannel, name: pictures}
  subscriber: {ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: resize}}
"""


def found(text: str) -> list[Finding]:
    return check_texts([(Path("a.yaml"), text)])


@pytest.mark.parametrize("text", [SEQUENCE, PARALLEL, CHANNEL])
def test_a_complete_flow_has_no_finding(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize("text", [SEQUENCE, PARALLEL, CHANNEL])
@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("maxAge: 168h", "maxAge: 1 day", "channel-duration"),
        ("maxAge: 168h", "maxAges: 168h", "unknown-field"),
        ("maxAge: 168h, ", "", "stream-grows"),
        ("deliverPolicy: New", "deliverPolicy: New, consumerType: Pull", "pull-consumer"),
        ("stream: {config: {", "stream: {maxAge: 1h, config: {", "stream-settings-ignored"),
        ("    kind: NatsJetStreamChannel\n", "", "reference"),
        ("  channelTemplate:", "  channelTemplates:", "unknown-field"),
    ],
)
def test_a_fault_in_the_channel_template_is_found_on_its_line(text: str, old: str, new: str, rule: str) -> None:
    changed = text.replace(old, new)
    lines = [each.line for each in found(changed) if each.rule == rule]
    assert lines
    head = changed.splitlines().index("spec:") + 1
    assert all(line >= head for line in lines)


@pytest.mark.parametrize("text", [SEQUENCE, PARALLEL])
@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("retry: 3", "retry: -1", "delivery-value"),
        ("retry: 3", "retries: 3", "unknown-field"),
        ("backoffPolicy: exponential", "backoffPolicy: Exponential", "delivery-value"),
        ("timeout: PT60S", "timeout: PT0S", "delivery-duration"),
        ("        backoffDelay: PT1S\n", "", "delivery-backoff"),
        ("        timeout: PT60S\n", "", "delivery-timeout"),
        (f"        deadLetterSink: {SINK}\n", "", "dead-letter-sink"),
        (f"deadLetterSink: {SINK}", "deadLetterSink: {uri: /x}", "destination"),
        (
            "apiVersion: serving.knative.dev/v1, kind: Service, name: resize",
            "kind: Service, name: resize",
            "destination",
        ),
    ],
)
def test_a_fault_in_a_step_or_a_branch_is_found_on_its_line(text: str, old: str, new: str, rule: str) -> None:
    first = text.splitlines().index("  steps:" if "steps:" in text else "  branches:") + 1
    lines = [each.line for each in found(text.replace(old, new)) if each.rule == rule]
    assert lines
    assert all(line > first for line in lines)


@pytest.mark.parametrize(
    ("text", "part"),
    [(SEQUENCE.partition("  steps:")[0], "no steps"), (PARALLEL.partition("  branches:")[0], "no branches")],
)
def test_a_flow_without_parts_is_refused(text: str, part: str) -> None:
    assert any(part in each.message for each in found(text) if each.severity is Severity.ERROR)


def test_what_a_step_refers_to_must_be_among_the_files_if_others_are() -> None:
    service = "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: recovery}\n"
    spec = "spec: {template: {spec: {containers: [{image: 'a.b/c:1'}]}}}\n"
    messages = [each.message for each in found(f"{service}{spec}---\n{SEQUENCE}") if each.rule == "missing-reference"]
    assert messages == ["there is no Service 'resize' in the namespace 'default'"]


# --- Subscriptions ---------------------------------------------------------------------------------------------------


def rules_of(text: str) -> set[str]:
    return {each.rule for each in found(text)}


def test_a_subscription_on_jetstream_without_a_dead_letter_sink_is_found() -> None:
    assert "dead-letter-sink" in rules_of(SUBSCRIPTION)


def test_a_subscription_inherits_the_sink_of_its_channel() -> None:
    channel = SUBSCRIPTION.replace("kind: Subscription", "kind: NatsJetStreamChannel").partition("spec:")[0]
    channel = channel.replace("messaging.knative.dev/v1", "messaging.knative.dev/v1alpha1").replace(
        "resize", "pictures"
    )
    assert "dead-letter-sink" not in rules_of(
        f"{SUBSCRIPTION}---\n{channel}spec: {{delivery: {{deadLetterSink: {SINK}}}}}\n"
    )


@pytest.mark.parametrize("kind", ["InMemoryChannel", "KafkaChannel", "Channel"])
def test_a_subscription_that_names_no_jetstream_needs_none(kind: str) -> None:
    text = SUBSCRIPTION.replace("v1alpha1", "v1").replace("NatsJetStreamChannel", kind)
    assert "dead-letter-sink" not in rules_of(text)
