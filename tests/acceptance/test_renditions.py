"""Renditions and presets with real servers: what stands when one cannot be made or a worker is killed, and what a
change of the presets' file does.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from darkroom.imaging.photograph import make_photograph
from tests.faults.faulty_stack import FaultyStack, faulty_stack
from tests.stack import ROOT, eventually

pytestmark = pytest.mark.slow

PICTURE = make_photograph(800, 600)
PRESETS = """
w400: {type: resize, parameters: {width: 400}}
w200: {type: resize, parameters: {width: 200}}
w100: {type: resize, parameters: {width: 100}}
w50: {type: resize, parameters: {width: 50}}
square: {type: resize, parameters: {width: 60, height: 60, fit: cover}}
"""
NAMES = ("w400", "w200", "w100", "w50", "square")


@pytest.fixture(scope="module")
def presets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file, mounted as the kubelet mounts a ConfigMap: by way of a link that is replaced."""
    folder = tmp_path_factory.mktemp("presets")
    mount(folder, PRESETS)
    return folder / "presets.yaml"


def mount(folder: Path, text: str) -> None:
    version = folder / f"..{time.monotonic_ns()}"
    version.mkdir()
    (version / "presets.yaml").write_text(text)
    link = folder / "..data_tmp"
    link.symlink_to(version.name)
    link.replace(folder / "..data")
    if not (folder / "presets.yaml").is_symlink():
        (folder / "presets.yaml").symlink_to("..data/presets.yaml")


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory, presets: Path) -> Iterator[FaultyStack]:
    with faulty_stack(tmp_path_factory.mktemp("renditions"), "--presets", str(presets), fragile=False) as stack:
        yield stack


def command(faulty: FaultyStack, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "darkroom.cli", *arguments],
        cwd=ROOT,
        env={**os.environ, "DARKROOM_DATA": str(faulty.stack.data)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def keys_of(job_id: str, names: tuple[str, ...] = NAMES) -> list[str]:
    return sorted(f"processed/{job_id}/{name}.jpg" for name in names)


def test_five_renditions_are_one_get_and_five_puts(faulty: FaultyStack) -> None:
    fetched = faulty.s3.gate(b"GET /processed-images/uploads/", let_pass=10**6)
    stored = faulty.s3.gate(b"PUT /processed-images/processed/", let_pass=10**6)
    job_id = faulty.stack.submit("renditions", PICTURE, preset=",".join(NAMES))
    job = faulty.stack.completed(job_id)
    assert len(fetched.passed) == 1
    assert len(stored.passed) == 5
    assert sorted(faulty.stored(f"processed/{job_id}/")) == keys_of(job_id)
    sizes = {name: (one["result"]["width"], one["result"]["height"]) for name, one in job["results"].items()}
    assert sizes == {"w400": (400, 300), "w200": (200, 150), "w100": (100, 75), "w50": (50, 38), "square": (60, 60)}
    for one in job["results"].values():
        assert len(httpx.get(one["result"]["url"]).content) == one["result"]["bytes"]


def test_one_of_five_that_cannot_be_made_leaves_four_and_a_redrive_makes_one(faulty: FaultyStack) -> None:
    asked: dict[str, Any] = {name: {"preset": name} for name in NAMES}
    asked["w400"] = {"preset": "w400", "parameters": {"format": "jpeg", "max_bytes": 100}}
    job_id = faulty.stack.submit("renditions", PICTURE, renditions=json.dumps(asked))
    job = faulty.stack.ended(job_id)
    assert (job["status"], job["error"]["code"]) == ("failed", "rendition.failed")
    assert job["results"]["w400"]["error"]["code"] == "result.too_large"
    four = NAMES[1:]
    assert all(httpx.get(job["results"][name]["result"]["url"]).status_code == 200 for name in four)
    assert sorted(faulty.stored(f"processed/{job_id}/")) == keys_of(job_id, four)

    stored = faulty.s3.gate(b"PUT /processed-images/processed/", let_pass=10**6)
    assert "queued again" in command(faulty, "redrive", job_id, "--set", "w400.max_bytes=")
    eventually(
        lambda: faulty.stack.job(job_id)["status"] == "completed",
        within_s=60,
        what="the redriven job completes",
    )
    again = faulty.stack.job(job_id)
    assert [line.split()[1] for line in stored.passed] == [f"/processed-images/processed/{job_id}/w400.jpg"]
    assert again["results"]["w200"]["preset"] == job["results"]["w200"]["preset"]
    assert "preset" not in again["results"]["w400"]


def test_a_worker_that_is_killed_between_the_third_and_the_fourth_costs_two_puts_more(faulty: FaultyStack) -> None:
    gate = faulty.s3.gate(b"PUT /processed-images/processed/", let_pass=3)
    job_id = faulty.stack.submit("renditions", PICTURE, preset=",".join(NAMES))
    # The storage does not take the fourth, so the worker is between the third and the fourth for as long as it takes.
    eventually(lambda: gate.held, within_s=60, what="the fourth PUT is held back")
    record = faulty.record(job_id)
    assert record is not None
    assert len(record.made) == 3
    worker = psutil.Process(faulty.at_work(job_id))
    worker.send_signal(signal.SIGKILL)
    gate.open()
    job = faulty.stack.completed(job_id, within_s=120)
    assert {one["status"] for one in job["results"].values()} == {"completed"}
    put = [line.split()[1].rpartition("/")[2] for line in gate.passed]
    print(f"\nPUTs before the kill: {put[:3]}, after it: {put[3:]}")  # noqa: T201
    assert len(put) == 5
    assert len(set(put)) == 5
    assert sorted(faulty.stored(f"processed/{job_id}/")) == keys_of(job_id)
    assert job["attempts"] == 2


def test_a_changed_preset_is_used_within_a_second_and_old_jobs_say_what_they_were_made_with(
    faulty: FaultyStack, presets: Path
) -> None:
    before = faulty.stack.completed(faulty.stack.submit("resize", PICTURE, preset="w50"))
    mount(presets.parent, PRESETS.replace("width: 50", "width: 55"))
    began = time.monotonic()
    eventually(lambda: digest_of(faulty, "w50") != before["preset"]["digest"], within_s=30, what="a new digest")
    print(f"\nthe changed preset is used after {time.monotonic() - began:.2f} s")  # noqa: T201
    after = faulty.stack.completed(faulty.stack.submit("resize", PICTURE, preset="w50"))
    assert (before["result"]["width"], after["result"]["width"]) == (50, 55)
    assert before["preset"]["digest"] != after["preset"]["digest"]
    assert faulty.stack.job(before["job_id"])["preset"] == before["preset"]
    assert digest_of(faulty, "w50") == after["preset"]["digest"]


def digest_of(faulty: FaultyStack, name: str) -> str:
    listed = httpx.get(f"{faulty.stack.addresses['api']}/api/v1/presets").json()["presets"]
    return next(str(one["digest"]) for one in listed if one["name"] == name)


def test_a_file_that_cannot_be_used_leaves_the_presets_as_they_were_and_the_log_says_why(
    faulty: FaultyStack, presets: Path
) -> None:
    known = command(faulty, "presets")
    mount(presets.parent, PRESETS.replace("width: 400", "wdth: 400"))
    eventually(
        lambda: command(faulty, "presets") == known and faulty.said("presets.refused"),
        within_s=30,
        what="ingest refuses the new file",
    )
    assert "w400.parameters.wdth: unknown field" in faulty.said("presets.refused")[-1]["error"]
    assert faulty.stack.post("resize", PICTURE, preset="w400").status_code == 202


def test_the_command_saves_each_rendition(faulty: FaultyStack, tmp_path: Path) -> None:
    picture = tmp_path / "picture.jpg"
    picture.write_bytes(PICTURE)
    command(faulty, "submit", str(picture), "renditions", "--preset", "w100,square", "-o", str(tmp_path / "out"))
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["square.jpg", "w100.jpg"]
    shutil.rmtree(tmp_path / "out")
