"""`darkroom backfill` against a whole stack: a library is done once, whatever kills the command, and a changed preset
makes exactly what it changes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from darkroom.adapters.storage import Storage
from darkroom.client import Client, JobState
from darkroom.imaging.photograph import photograph
from darkroom.serving.resources import Resources
from darkroom.serving.settings import Settings
from tests.changed_stack import changed_stack
from tests.stack import ROOT, eventually

pytestmark = pytest.mark.slow

PICTURES = 200
KILLED_AT = (20, 70, 120)
"""Pictures that are made when the command is killed."""
PRESETS = """
thumb: {{type: resize, parameters: {{width: {width}}}}}
square: {{type: crop, parameters: {{aspect: "1:1"}}}}
"""


@dataclass
class Library:
    """A running stack with pictures under library/, and its operator."""

    folder: Path
    presets: Path
    key: str
    client: Client
    storage: Storage
    address: str
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def put(self, name: str, body: bytes) -> None:
        self.storage.put(f"library/{name}", body, content_type="image/png")

    def begin(self, *options: str) -> subprocess.Popen[str]:
        data = ("--data", str(self.folder / "data"), "--state", str(self.folder / "state"))
        process = subprocess.Popen(
            [sys.executable, "-m", "darkroom.cli", "backfill", *data, *options],
            cwd=ROOT,
            env={**os.environ, "DARKROOM_API_KEY": self.key},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def run(self, *options: str, exit_code: int = 0) -> dict[str, Any]:
        process = self.begin("--json", "--rate", "1000/s", *options)
        out, err = process.communicate(timeout=150)
        assert process.returncode == exit_code, err
        report: dict[str, Any] = json.loads(out)
        return report

    def results(self) -> list[str]:
        return [one.key for page in self.storage.pages("processed/") for one in page]

    def wait_for_results(self, number: int) -> None:
        eventually(lambda: len(self.results()) >= number, within_s=120, what=f"{number} results are in storage")

    def jobs(self) -> list[JobState]:
        return list(self.client.jobs(type="renditions"))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    folder = tmp_path_factory.mktemp("backfill")
    presets = folder / "presets.yaml"
    presets.write_text(PRESETS.format(width=32))
    allowed = ("settings.yaml", 'INPUT_PREFIXES: ""', "INPUT_PREFIXES: library/")
    writes = ("settings.yaml", "RATE_LIMIT: 60/minute", 'RATE_LIMIT: "off"')
    reads = ("settings.yaml", "RATE_LIMIT_READS: 600/minute", 'RATE_LIMIT_READS: "off"')
    with changed_stack(folder, allowed, writes, reads, options=("--presets", str(presets))) as keyed:
        settings = Settings.load(
            needs=frozenset({"BUCKET_NAME"}), environment=json.loads((folder / "data/settings.json").read_text())
        )
        address, key = keyed.stack.addresses["api"], keyed.keys[0]
        with Client(address, api_key=key) as client:
            storage = Resources(settings).storage
            found = Library(folder=folder, presets=presets, key=key, client=client, storage=storage, address=address)
            yield found
            for process in found.processes:
                process.kill()
                process.communicate()


def test_a_library_is_done_once_though_the_command_is_killed_and_a_changed_preset_does_what_it_changes(
    library: Library,
) -> None:
    picture = bytes(photograph(64, 48).pngsave_buffer())
    for number in range(PICTURES):
        library.put(f"{number % 7}/{number:04}.png", picture)
    library.put("notes.txt", b"no picture")

    assert library.run("--dry-run") == {"pictures": PICTURES + 1, "to_do": PICTURES + 1, "dry_run": True}

    options: tuple[str, ...] = ()
    for killed_at in KILLED_AT:
        process = library.begin("--rate", "40/s", *options)
        library.wait_for_results(2 * killed_at)
        assert process.poll() is None, "killed while it works"
        process.kill()
        process.communicate()
        options = ("--resume",)
    refused = library.begin()
    assert "--resume goes on" in refused.communicate(timeout=60)[1]

    report = library.run("--resume", exit_code=1)
    assert (report["pictures"], report["made"], report["failed"]) == (PICTURES + 1, 2 * PICTURES, 2)
    assert {(one["storage_key"], one["code"]) for one in report["failures"]} == {
        ("library/notes.txt", "input.unsupported")
    }
    jobs = library.jobs()
    assert len(jobs) == PICTURES, "each picture is one job"
    assert all(set(job.made) == {"thumb", "square"} for job in jobs)
    assert len(library.results()) == 2 * PICTURES, "each result is there once"

    before = library.client.job(jobs[0].job_id)
    assert before.document["cost_class"] == "background", "its lane is not that of live jobs"
    library.presets.write_text(PRESETS.format(width=16))
    digest = before.results["thumb"]["preset"]["digest"]
    eventually(
        lambda: all(one["digest"] != digest for one in library.client.presets()), within_s=60, what="the new preset"
    )
    library.put("new.png", picture)
    manifest = library.folder / "results.jsonl"
    report = library.run("--changed", "--results", str(manifest), exit_code=1)
    assert (report["to_do"], report["made"]) == (PICTURES + 1, PICTURES)
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    assert {line["preset"] for line in lines} == {"thumb"}
    assert len({line["storage_key"] for line in lines}) == PICTURES
    assert {line["result"] for line in lines} <= set(library.results())
    assert len(library.jobs()) == 2 * PICTURES
    assert library.client.job(before.job_id).results["thumb"]["preset"]["digest"] == digest

    report = library.run(exit_code=1)
    assert (report["to_do"], report["made"], report["failed"]) == (2, 2, 2), "the new picture, and what failed"
    assert len(library.jobs()) == 2 * PICTURES + 1


def test_keys_from_a_file_need_no_storage_and_other_prefixes_are_refused(library: Library) -> None:
    library.storage.put("private/a.png", b"", content_type="image/png")
    keys = library.folder / "keys.txt"
    keys.write_text("private/a.png\n\n")
    options = ("--keys-from", str(keys), "--url", library.address, "--state", str(library.folder / "other"))
    report = library.run(*options, "--preset", "thumb", exit_code=1)
    assert [(one["storage_key"], one["code"]) for one in report["failures"]] == [("private/a.png", "input.not_found")]
