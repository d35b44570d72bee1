"""Each rule of `darkroom check` finds the YAML that breaks it and lets pass the one that keeps it."""

from __future__ import annotations

from pathlib import Path

import pytest

from darkroom.check import Finding, Severity, check_texts
from darkroom.manifests.platform.rule import RULES

EVENTS = ("resize.requested",)
"""What the examples emit."""


def found(text: str, file: str = "a.yaml", events: tuple[str, ...] = EVENTS) -> list[Finding]:
    return check_texts([(Path(file), text)], events=events)


def rules_of(findings: list[Finding]) -> set[str]:
    return {each.rule for each in findings}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_finds_what_breaks_it(name: str) -> None:
    assert name in rules_of(found(RULES[name].bad))


@pytest.mark.parametrize("name", RULES)
def test_a_rule_lets_pass_what_keeps_it(name: str) -> None:
    assert name not in rules_of(found(RULES[name].good))


@pytest.mark.parametrize("name", RULES)
def test_what_keeps_a_rule_breaks_no_error_rule(name: str) -> None:
    assert [each for each in found(RULES[name].good) if each.severity is Severity.ERROR] == []


@pytest.mark.parametrize("name", RULES)
def test_a_rule_says_what_happens_and_how_to_fix_it(name: str) -> None:
    rule = RULES[name]
    assert rule.title[0].islower() or rule.title.startswith("timeoutSeconds")
    assert rule.on_the_cluster.endswith(".")
    assert rule.fix.endswith(".")


def test_a_finding_has_the_line_of_what_is_wrong() -> None:
    text = RULES["delivery-duration"].bad
    (finding,) = (each for each in found(text) if each.rule == "delivery-duration")
    assert "1s" in text.splitlines()[finding.line - 1]


def test_a_finding_in_a_channel_template_bears_the_line_of_the_file_around_it() -> None:
    text = "# a comment\n" + RULES["pull-consumer"].bad
    (finding,) = (each for each in found(text) if each.rule == "pull-consumer")
    assert "Pull" in text.splitlines()[finding.line - 1]


def test_the_items_of_a_list_are_read_with_their_own_lines() -> None:
    item = RULES["delivery-duration"].bad
    indented = "".join(f"    {line}" for line in item.splitlines(keepends=True))
    text = "apiVersion: v1\nkind: List\nitems:\n  -\n" + indented
    (finding,) = (each for each in found(text) if each.rule == "delivery-duration")
    assert "1s" in text.splitlines()[finding.line - 1]


def test_an_annotation_takes_a_manifest_out_of_a_rule() -> None:
    text = RULES["delivery-backoff"].bad
    annotated = text.replace(
        "{name: resize}", '{name: resize, annotations: {check.darkroom.dev/ignore: "delivery-backoff"}}', 1
    )
    assert "delivery-backoff" in rules_of(found(text))
    assert "delivery-backoff" not in rules_of(found(annotated))


def test_what_is_no_yaml_is_said_with_its_line() -> None:
    (finding,) = found("a: b\n  c: [")
    assert (finding.rule, finding.severity) == ("not-yaml", Severity.ERROR)
    assert finding.line > 1


def test_a_template_that_is_no_yaml_yet_is_said_to_be_none() -> None:
    """`{{ .Values.name }}` without quotes is a mapping as a key."""
    (finding,) = found("metadata:\n  name: {{ .Values.name }}\n")
    assert (finding.rule, finding.line, finding.severity) == ("not-a-manifest", 2, Severity.HINT)


KAFKA = """\
apiVersion: eventing.knative.dev/v1
kind: Broker
metadata: {name: darkroom, annotations: {eventing.knative.dev/broker.class: Kafka}}
---
"""


def test_what_is_true_of_jetstream_is_not_said_of_another_broker() -> None:
    assert "delivery-backoff" not in rules_of(found(KAFKA + RULES["delivery-backoff"].bad))


@pytest.mark.parametrize("text", ["", "---\n", "just text\n", "- a\n- list\n", "kind: Trigger\n", "apiVersion: v1\n"])
def test_whatever_yaml_there_is_is_read_without_a_crash(text: str) -> None:
    found(text)


@pytest.mark.parametrize("kind", ["Trigger", "Broker", "Service", "PingSource", "ConfigMap", "NatsJetStreamChannel"])
@pytest.mark.parametrize(
    "spec", ["", "[]", "text", "{delivery: text}", "{template: []}", "{filters: text}", "{sink: 1}"]
)
def test_a_manifest_of_the_wrong_shape_is_read_without_a_crash(kind: str, spec: str) -> None:
    groups = {
        "Trigger": "eventing.knative.dev/v1",
        "Broker": "eventing.knative.dev/v1",
        "Service": "serving.knative.dev/v1",
        "PingSource": "sources.knative.dev/v1",
        "ConfigMap": "v1",
        "NatsJetStreamChannel": "messaging.knative.dev/v1alpha1",
    }
    found(f"apiVersion: {groups[kind]}\nkind: {kind}\nmetadata: {{name: a}}\nspec: {spec}\n")
