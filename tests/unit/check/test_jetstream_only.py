"""What is true of JetStream alone is said only where the files show that it is used."""

from __future__ import annotations

from pathlib import Path

import pytest

from darkroom.check import check_texts
from darkroom.manifests.platform.rules import RULES

ABOUT_JETSTREAM = {
    "ack-wait",
    "backoff-outlives-ack-wait",
    "client-errors-lost",
    "delivery-backoff",
    "delivery-below-revision",
    "delivery-timeout",
    "max-ack-pending-high",
    "max-ack-pending-low",
    "no-max-scale",
    "payload-too-large",
}
FUNCTION = """\
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: resize}
spec: {template: {spec: {containers: [{image: "example.com/resize:1.0.0"}]}}}
"""
TRIGGER = """\
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {name: resize}
spec:
  broker: pictures
  subscriber: {ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: resize}}
  delivery: {retry: 3}
"""
PING = f"""\
apiVersion: sources.knative.dev/v1
kind: PingSource
metadata: {{name: tick}}
spec: {{data: "{"x" * 800_000}", sink: {{ref: {{apiVersion: eventing.knative.dev/v1, kind: Broker, name: pictures}}}}}}
"""
BROKER = "apiVersion: eventing.knative.dev/v1\nkind: Broker\nmetadata: {name: pictures%s}\n%s"
CONFIG = "spec: {config: {apiVersion: v1, kind: ConfigMap, name: channel}}\n"
CONFIG_MAP = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: channel}
data:
  channel-template-spec: |
    apiVersion: messaging.knative.dev/%s
"""
IN_MEMORY = CONFIG_MAP % "v1\n    kind: InMemoryChannel"
JETSTREAM = CONFIG_MAP % "v1alpha1\n    kind: NatsJetStreamChannel"


def of_class(name: str) -> str:
    return BROKER % (f", annotations: {{eventing.knative.dev/broker.class: {name}}}", "")


def about_jetstream(*parts: str) -> set[str]:
    findings = check_texts([(Path("a.yaml"), "---\n".join([FUNCTION, TRIGGER, PING, *parts]))])
    return {each.rule for each in findings} & ABOUT_JETSTREAM


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [BROKER % ("", "")],
        [BROKER % ("", CONFIG)],
        [BROKER % ("", CONFIG), IN_MEMORY],
        [of_class("Kafka")],
        [of_class("RabbitMQBroker")],
        [of_class("MTChannelBasedBroker")],
    ],
)
def test_nothing_is_said_of_jetstream_where_no_file_names_it(parts: list[str]) -> None:
    assert about_jetstream(*parts) == set()


@pytest.mark.parametrize("parts", [[BROKER % ("", CONFIG), JETSTREAM], [of_class("NatsJetStreamBroker")]])
def test_it_is_said_where_the_broker_is_one_of_jetstream(parts: list[str]) -> None:
    assert {"delivery-backoff", "ack-wait", "no-max-scale", "payload-too-large"} <= about_jetstream(*parts)


def test_a_broker_that_another_file_configures_is_taken_for_what_the_files_use() -> None:
    other = (BROKER % ("", CONFIG)).replace("pictures", "other")
    assert "delivery-backoff" in about_jetstream(other, JETSTREAM)


def test_the_rules_are_there() -> None:
    assert set(RULES) >= ABOUT_JETSTREAM


@pytest.mark.parametrize("name", ["K_ENV", "K_HOME", "K_SINK_TIMEOUT", "PORTS", "SERVICE", "KUBERNETES_PORT"])
def test_a_variable_that_only_resembles_a_reserved_one_is_free(name: str) -> None:
    text = FUNCTION.replace("containers: [{", f"containers: [{{env: [{{name: {name}, value: a}}], ")
    rules = {each.rule for each in check_texts([(Path("a.yaml"), text)])}
    assert not rules & {"reserved-variable", "sink-variable", "container"}


@pytest.mark.parametrize(
    "name",
    [
        "initialScale",
        "maxScale",
        "metricAggregationAlgorithm",
        "minScale",
        "panicThresholdPercentage",
        "panicWindowPercentage",
        "scaleDownDelay",
        "scaleToZeroPodRetentionPeriod",
        "targetBurstCapacity",
        "targetUtilizationPercentage",
    ],
)
def test_an_older_spelling_that_serving_still_reads_is_no_fault(name: str) -> None:
    value = {"metricAggregationAlgorithm": "linear", "panicThresholdPercentage": "200"}.get(name, "10")
    value = "10s" if name.startswith(("scaleDown", "scaleTo")) else value
    annotations = f"metadata: {{annotations: {{autoscaling.knative.dev/{name}: '{value}'}}}}"
    text = FUNCTION.replace("template: {spec", f"template: {{{annotations}, spec")
    rules = {each.rule for each in check_texts([(Path("a.yaml"), text)])}
    assert not rules & {"annotation-unknown", "revision-annotation"}
