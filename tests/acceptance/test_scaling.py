"""Scaling from zero and back on the running stack, held against the autoscaler's arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from darkroom.local.revisions.environment import revisions
from darkroom.manifests import load
from tests.stack import ROOT, RunningStack, eventually, running_stack

# The arithmetic itself is held against upstream's cases in tests/unit/local/test_kpa.py.
pytestmark = pytest.mark.slow

JOBS = 200
SLOW: dict[str, Any] = {"width": 900, "format": "webp", "effort": 4}
"""Takes longer to render than to accept, whatever else the machine does, so that they pile up."""
IN_FLIGHT = 40
"""maxAckPending: what JetStream lets the dispatcher have in flight."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """The machine's cap is out of the way, so that what is seen is the KPA's doing."""
    options = ("--window", "6s", "--max-instances", "16")
    with running_stack(tmp_path_factory.mktemp("stack"), *options) as stack:
        yield stack


def _scaling_of(service: str) -> tuple[int, float]:
    """max-scale, and the requests for each instance that the KPA aims at."""
    settings = {"REDIS_URL": "x", "STORAGE_ACCESS_KEY": "x", "STORAGE_SECRET_KEY": "x"}
    manifests = load([ROOT / "knative/base", ROOT / "nats-eventing"])
    [scaling] = [one.scaling for one in revisions(manifests, settings=settings) if one.service == service]
    return scaling.max_scale, scaling.target * scaling.target_utilization


def test_two_hundred_jobs_at_once_scale_out_as_the_arithmetic_says_and_back_to_zero(
    stack: RunningStack, photograph: bytes
) -> None:
    max_scale, target = _scaling_of("resize")
    eventually(lambda: stack.function("resize")["ready"] == 0, within_s=60, what="resize at zero")

    job_ids = stack.submit_many(JOBS, "resize", photograph, **SLOW)

    for job_id in job_ids:
        stack.completed(job_id, within_s=120)
    decisions = [event for event in stack.events(action="instances.wanted") if event["service"] == "resize"]
    # At zero the first request alone makes it one; from then on the windows' averages decide.
    assert decisions[0]["wanted"] == 1
    most = max(decision["wanted"] for decision in decisions)
    highest = max(max(decision["stable"], decision["panic"]) for decision in decisions)
    assert highest <= IN_FLIGHT + 1
    expected = min(max_scale, -(-highest // target))
    assert most == expected, (highest, target, decisions)
    assert most > 3, "a burst of 200 wants more than a few"
    eventually(lambda: stack.function("resize")["ready"] == 0, within_s=60, what="resize back at zero")
    assert stack.trigger("resize")["lost"] == 0
    assert stack.trigger("resize")["backlog"] == 0


def test_the_machines_cap_is_told_of_when_it_and_not_the_autoscaler_decided(tmp_path: Path, photograph: bytes) -> None:
    with running_stack(tmp_path / "data", "--window", "6s", "--max-instances", "2") as stack:
        job_ids = stack.submit_many(2 * IN_FLIGHT, "resize", photograph, **SLOW)
        eventually(lambda: stack.events(action="scale.capped"), within_s=30, what="the cap is told of")
        for job_id in job_ids:
            stack.completed(job_id, within_s=120)
        readies = [event for event in stack.events(action="instance.ready") if event["service"] == "resize"]
        assert 1 <= len(readies) <= 2
