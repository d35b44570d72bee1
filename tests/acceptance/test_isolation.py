"""One picture cannot take its function over its time or its memory."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from darkroom.imaging.photograph import make_photograph
from tests.stack import ROOT, RunningStack, running_stack


def edited_manifests(folder: Path, edits: dict[str, str]) -> list[str]:
    """A copy of the manifests in which the heavy resize Service has these values."""
    for name in ("knative", "nats-eventing"):
        shutil.copytree(ROOT / name, folder / name)
    service = folder / "knative/base/resize-heavy.yaml"
    text = service.read_text()
    for old, new in edits.items():
        assert old in text, old
        text = text.replace(old, new)
    service.write_text(text)
    return ["--manifests", str(folder / "knative/base"), "--manifests", str(folder / "nats-eventing")]


@pytest.mark.slow
def test_an_encode_that_would_take_minutes_is_killed_and_its_instance_serves_on(tmp_path: Path) -> None:
    edits = {"name: JOB_TIMEOUT\n              value: 120s": "name: JOB_TIMEOUT\n              value: 5s"}
    with running_stack(tmp_path / "data", *edited_manifests(tmp_path, edits)) as stack:
        endless = stack.submit("resize", make_photograph(4000, 3000), width=4000, format="avif", effort=9)
        failed = stack.ended(endless, within_s=90)

        assert failed["status"] == "failed"
        assert failed["error"]["code"] == "job.timeout"
        assert failed["attempts"] == 3
        assert _serves(stack)
        instances = [event for event in stack.events(action="instance.ready") if event["service"] == "resize-heavy"]
        assert len(instances) == 1, "the worker was killed and replaced, not its instance"


@pytest.mark.slow
def test_a_picture_that_needs_more_memory_than_its_worker_may_have_fails_and_its_instance_serves_on(
    tmp_path: Path,
) -> None:
    # Enough for Python with its libraries and a small picture, not for an AVIF of 48 megabytes of pixels.
    edits = {"name: WORKER_MEMORY\n              value: 3Gi": "name: WORKER_MEMORY\n              value: 900Mi"}
    with running_stack(tmp_path / "data", *edited_manifests(tmp_path, edits)) as stack:
        large = stack.submit("resize", make_photograph(6000, 5000), width=6000, format="avif", effort=0)
        failed = stack.ended(large, within_s=120)

        assert failed["status"] == "failed"
        assert failed["error"]["code"] in {"image.crashed", "internal"}
        assert _serves(stack)


def _serves(stack: RunningStack) -> bool:
    """The heavy Service still does its work."""
    job = stack.completed(stack.submit("resize", make_photograph(2600, 1800), width=2500, format="avif", effort=0))
    accepted = [
        event["trigger"] for event in stack.events(action="delivery.accepted") if event["subject"] == job["job_id"]
    ]
    return accepted == ["resize-heavy"]
