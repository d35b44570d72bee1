"""The loader of `darkroom up` and `darkroom check` judge manifests alike, because they share the platform's tables.

What a cluster refuses, both refuse, on the same line. What it accepts, the linter accepts, and the loader may refuse
only because the local runtime cannot do it, and says so.
"""

from __future__ import annotations

import csv
import textwrap
from pathlib import Path

import pytest

from darkroom.check import Severity, check_texts
from darkroom.manifests import ManifestError, load
from darkroom.manifests.platform.refusals import LOSSES, REFUSALS
from darkroom.manifests.platform.rules import RULES
from tests.unit.check.test_values import ACCEPTED, CHANNEL, REFUSED, WEBHOOKS, changed, named
from tests.unit.manifests.test_manifests import PIPELINE

NO_CHANNELS = "unknown kind 'NatsJetStreamChannel'"
"""The loader reads channels as the templates of Brokers alone."""
# What a cluster accepts and then loses or ignores: part of a whole pipeline, and its change.
LOST = [
    ("    backoffDelay: PT1S\n", ""),
    ("deliverPolicy: New", "consumerType: Pull"),
    (
        "      stream:\n        config:\n          retention: Interest\n",
        "      stream:\n        maxAge: 1h\n        config:\n",
    ),
    ("type: dev.example.requested", "type: ''"),
    ("autoscaling.knative.dev/max-scale", "autoscaling.knative.dev/max-scales"),
    ("networking.knative.dev/visibility", "networking.knative.dev/visbility"),
    ("visibility: cluster-local", "visibility: public"),
]
REFUSED_TEMPLATES = [
    ("maxAge: 168h", "maxAge: 1 day"),
    ("maxAge: 168h", "maxAge: 168"),
    ("ackWait: 120s", "ackWait: 2d"),
    ("retention: Interest", "retention: [Interest]"),
    ("retention: Interest", "retentions: Interest"),
]


def loader_findings(tmp_path: Path, text: str) -> list[tuple[int, str]]:
    """The line and message of what the loader refuses, without references, since a case is a manifest by itself."""
    file = tmp_path / "a.yaml"
    file.write_text(text)
    try:
        load([file])
    except ManifestError as exc:
        return [(each.line, each.message) for each in exc.findings if not each.message.startswith("there is no ")]
    return []


def linter_errors(text: str) -> list[tuple[int, str]]:
    found = check_texts([(Path("a.yaml"), text)])
    return [(each.line, each.message) for each in found if each.severity is Severity.ERROR]


def assert_both_accept(tmp_path: Path, text: str) -> None:
    assert linter_errors(text) == []
    reasons = [message for _, message in loader_findings(tmp_path, text)]
    assert [each for each in reasons if "the local runtime" not in each and not each.startswith(NO_CHANNELS)] == []


def assert_both_refuse(tmp_path: Path, text: str) -> None:
    lines = {line for line, _ in linter_errors(text)}
    assert lines & {line for line, _ in loader_findings(tmp_path, text)}


def in_config_map(channel: str) -> str:
    """The channel as the template of a Broker, where the loader reads it."""
    broker = (
        "apiVersion: eventing.knative.dev/v1\nkind: Broker\n"
        "metadata: {name: b, annotations: {eventing.knative.dev/broker.class: MTChannelBasedBroker}}\n"
        "spec: {config: {apiVersion: v1, kind: ConfigMap, name: c}}\n---\n"
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  channel-template-spec: |\n"
    )
    return broker + textwrap.indent(
        channel.partition("metadata:")[0] + "spec:" + channel.partition("\nspec:")[2], "    "
    )


def text_of(case: tuple[str, str, str]) -> str:
    text = changed(*case)
    return in_config_map(text) if case[0] is CHANNEL else text


@pytest.mark.parametrize("case", [case for case in ACCEPTED if "interest" not in case[2]], ids=named)
def test_what_a_cluster_accepts_is_refused_by_neither_except_for_the_local_runtime(
    tmp_path: Path, case: tuple[str, str, str]
) -> None:
    assert_both_accept(tmp_path, text_of(case))


@pytest.mark.parametrize("case", REFUSED, ids=named)
def test_what_a_cluster_refuses_is_refused_by_both_on_the_same_line(tmp_path: Path, case: tuple[str, str, str]) -> None:
    assert_both_refuse(tmp_path, text_of(case))


def verdicts() -> list[tuple[str, str]]:
    with (WEBHOOKS / "verdicts.tsv").open() as table:
        return [(row["file"], row["verdict"]) for row in csv.DictReader(table, delimiter="\t")]


@pytest.mark.parametrize(("name", "verdict"), verdicts())
def test_both_give_the_verdict_of_a_real_cluster(tmp_path: Path, name: str, verdict: str) -> None:
    text = (WEBHOOKS / name).read_text()
    if verdict == "accepted":
        assert_both_accept(tmp_path, text)
    else:
        assert linter_errors(text)
        assert loader_findings(tmp_path, text)


@pytest.mark.parametrize(("old", "new"), [*LOST, *REFUSED_TEMPLATES])
def test_what_loses_events_in_a_pipeline_is_refused_by_both_on_the_same_line(
    tmp_path: Path, old: str, new: str
) -> None:
    assert loader_findings(tmp_path, PIPELINE) == []
    assert_both_refuse(tmp_path, changed(PIPELINE, old, new))


def test_every_error_of_the_linter_is_either_a_refusal_or_a_loss() -> None:
    errors = {name for name, rule in RULES.items() if rule.severity is Severity.ERROR}
    # What is not YAML is refused by the reader that both share.
    assert errors - {"not-yaml"} == {*REFUSALS, *LOSSES}
    assert not set(REFUSALS) & set(LOSSES)


@pytest.mark.parametrize("name", REFUSALS)
def test_the_loader_refuses_what_breaks_a_rule_about_refusals(tmp_path: Path, name: str) -> None:
    assert loader_findings(tmp_path, RULES[name].bad)
