"""The manifests are the single truth: a change in the YAML, and nothing else, changes what the local runtime does."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from darkroom.events.cloudevents import encode_binary, new_event
from tests.stack import ROOT, RunningStack, eventually, running_stack

UP = (sys.executable, "-m", "darkroom.cli", "up", "--free-ports")


@pytest.fixture
def manifests(tmp_path: Path) -> Path:
    """A copy of the manifests that a test may edit."""
    for folder in ("knative", "nats-eventing"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def options(manifests: Path) -> list[str]:
    return ["--manifests", str(manifests / "knative/base"), "--manifests", str(manifests / "nats-eventing")]


def edit(file: Path, old: str, new: str, *, count: int = 1) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, count))


def send(stack: RunningStack, type: str) -> str:
    event = new_event(type, "/test", {})
    headers, body = encode_binary(event)
    answer = httpx.post(f"{stack.addresses['broker']}/darkroom/darkroom", headers=headers, content=body)
    assert answer.status_code == 202
    return event.id


def test_a_changed_filter_retry_and_max_scale_change_what_runs(manifests: Path) -> None:
    """The crop Trigger gets a filter of its own, a subscriber that nobody answers for, and a single retry."""
    triggers = manifests / "knative/base/triggers.yaml"
    crop = triggers.read_text().index("  name: crop\n")
    before, after = triggers.read_text()[:crop], triggers.read_text()[crop:]
    after = after.replace("type: dev.darkroom.crop.requested", "type: com.example.ordered", 1)
    after = after.replace("    retry: 3", "    retry: 1", 1)
    reference = "    ref:\n      apiVersion: serving.knative.dev/v1\n      kind: Service\n      name: crop\n"
    assert reference in after
    after = after.replace(reference, "    uri: http://127.0.0.1:9/nobody\n", 1)
    triggers.write_text(before + after)
    edit(manifests / "knative/base/resize.yaml", 'max-scale: "10"', 'max-scale: "3"')

    with running_stack(manifests / "data", *options(manifests)) as stack:
        assert stack.function("resize")["max_scale"] == 3
        event_id = send(stack, "com.example.ordered")
        ignored_id = send(stack, "dev.darkroom.crop.requested")
        [dead] = eventually(
            lambda: stack.events(action="event.dead_lettered"), within_s=30, what="the event is given up"
        )
        assert dead["id"] == event_id
        retried = stack.events(action="delivery.retried")
        assert [event["id"] for event in retried] == [event_id], "retry: 1 is one delivery more"
        assert all(event.get("id") != ignored_id for event in stack.events() if event["action"] != "event.accepted")


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("knative/base/triggers.yaml", "    retry: 3", "    retrys: 3", "retry"),
        ("knative/base/resize.yaml", "max-scale:", "max-scales:", "autoscaling.knative.dev/max-scale"),
        ("knative/base/resize.yaml", "containerConcurrency", "containerConcurency", "containerConcurrency"),
        ("nats-eventing/broker.yaml", "          maxAge:", "          maxAges:", "maxAge"),
    ],
)
def test_a_typo_is_refused_with_file_line_and_the_nearest_name(
    manifests: Path, file: str, old: str, new: str, said: str
) -> None:
    path = manifests / file
    line = path.read_text()[: path.read_text().index(old)].count("\n") + 1
    edit(path, old, new)
    ran = subprocess.run(
        [*UP, "--data", str(manifests / "data"), *options(manifests)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode != 0
    output = ran.stdout + ran.stderr
    assert f"{file}:{line}" in output
    assert said in output
