"""`darkroom check` on what others write: small manifests in the shapes in which the documentation of Knative and of
eventing-natss teaches them, written for these tests. What must be found is what they really do on a cluster.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from darkroom.check import check
from darkroom.manifests.platform.severity import Severity

EXAMPLES = Path(__file__).parent / "examples"
EVERY_POD = {"no-default-deny", "not-restricted"}
"""Examples leave security out; that is found too, and is not what these tests are about."""

FOUND = {
    "first-broker": {
        # Without a delivery block: one attempt, and what is given up goes nowhere.
        "delivery-retry",
        "dead-letter-sink",
        "image-not-pinned",
    },
    "channel-with-defaults": {
        # Limits retention without a limit: it grows for ever.
        "stream-grows",
        "retention",
        # A new Subscription is sent the whole history.
        "deliver-policy",
        # A delivery block without both: the dispatcher panics.
        "delivery-backoff",
        "delivery-timeout",
        "image-not-pinned",
    },
    "default-channel": {"retention", "discard-old"},
    "throttled-broker": {
        # The second Trigger would never be served.
        "pull-consumer",
        # So there is no maxAge, and retention is what it is by default.
        "stream-settings-ignored",
        "stream-grows",
        "retention",
        # The only throttle, left at 1000 for a function that does 3 at once.
        "max-ack-pending-high",
        "ack-wait",
        # A target of 0.7 panics at the first request.
        "concurrency-panic",
        "delivery-backoff",
        "delivery-timeout",
        "dead-letter-sink",
    },
}
ERRORS = {
    "first-broker": set[str](),
    "channel-with-defaults": {"stream-grows", "delivery-backoff"},
    "default-channel": set[str](),
    "throttled-broker": {"pull-consumer", "stream-settings-ignored", "stream-grows", "ack-wait", "delivery-backoff"},
}


def test_every_example_is_judged() -> None:
    assert {file.stem for file in EXAMPLES.glob("*.yaml")} == set(FOUND) == set(ERRORS)


@pytest.mark.parametrize("name", FOUND)
def test_what_a_cluster_would_do_with_an_example_is_found_and_nothing_else(name: str) -> None:
    findings = check([EXAMPLES / f"{name}.yaml"])
    assert {finding.rule for finding in findings} - EVERY_POD == FOUND[name]
    assert {finding.rule for finding in findings if finding.severity is Severity.ERROR} == ERRORS[name]


@pytest.mark.parametrize(
    ("name", "rule", "text"),
    [
        ("channel-with-defaults", "stream-grows", "kind: NatsJetStreamChannel"),
        ("default-channel", "discard-old", "maxBytes: 500000000"),
        ("throttled-broker", "pull-consumer", "consumerType: Pull"),
        ("throttled-broker", "concurrency-panic", "containerConcurrency: 1"),
    ],
)
def test_a_finding_leads_to_its_place(name: str, rule: str, text: str) -> None:
    lines = (EXAMPLES / f"{name}.yaml").read_text().splitlines()
    (finding,) = (each for each in check([EXAMPLES / f"{name}.yaml"]) if each.rule == rule)
    # The line itself, or the head of the resource that it is missing in.
    assert text in "\n".join(lines[finding.line - 2 : finding.line + 3])
