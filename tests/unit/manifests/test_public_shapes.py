"""Sets of manifests in the shapes of the public examples of knative/docs, knative/eventing and knative/func.

Each is loaded as a whole, or says by name what it leaves out. `acceptance/test_public_shapes.py` starts some of them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from darkroom.manifests import load

SETS = Path(__file__).parents[2] / "data" / "examples"
LEFT_OUT = {
    "eventing-broker-with-delivery": [],
    "eventing-broker-without-anything": [],
    "eventing-channel-and-subscription": [],
    "eventing-container-source": ["ContainerSource heartbeats"],
    "eventing-debugging": ["ApiServerSource events", "Role watcher", "RoleBinding watcher"],
    "eventing-hello": [],
    "eventing-job-sink": ["JobSink printer", "Trigger printer"],
    "eventing-kafka": ["KafkaSource orders", "KafkaTopic orders"],
    "eventing-parallel-branches": [],
    "eventing-parallel-exclusive": [],
    "eventing-ping": [],
    "eventing-registry-and-policy": ["EventPolicy only-orders", "EventType com.example.order.placed"],
    "eventing-sequence-into-a-sequence": [],
    "eventing-sequence-terminal": [],
    "eventing-sequence-with-broker": [],
    "eventing-sequence-with-reply": [],
    "eventing-sinkbinding": ["CronJob heartbeat", "SinkBinding heartbeat"],
    "eventing-transform": ["EventTransform identity"],
    "eventing-trigger-filters": ["Trigger by-expression"],
    "func-deployed": [],
    "func-subscribed": ["file func.yaml"],
    "serving-autoscale": [],
    "serving-hello": [],
    "serving-private-and-mapped": ["DomainMapping shop.example.com"],
    "serving-probes": [],
    "serving-routing": ["VirtualService entry"],
    "serving-secret": [],
    "serving-traffic": [],
    "serving-two-containers": [],
}


def test_every_set_is_in_the_table() -> None:
    assert sorted(folder.name for folder in SETS.iterdir()) == sorted(LEFT_OUT)


@pytest.mark.parametrize("name", LEFT_OUT)
def test_a_set_runs_or_says_by_name_what_it_leaves_out(name: str) -> None:
    manifests = load([SETS / name])
    assert sorted(f"{each.kind} {each.name}" for each in manifests.left_out) == LEFT_OUT[name]
    assert all(each.reason and each.line for each in manifests.left_out)
    assert manifests.runs_something


def test_what_runs_otherwise_than_on_a_cluster_is_noted() -> None:
    [note] = [note for note in load([SETS / "eventing-kafka"]).notes if note.kind == "KafkaChannel"]
    assert "runs as a JetStream channel here" in note.reason
