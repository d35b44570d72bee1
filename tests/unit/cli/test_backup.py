"""`darkroom backup` names what this project's manifests name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from darkroom.cli.backup_plan import BackupItem, Deployment, backup_plan
from darkroom.cli.commands import command
from tests.stack import ROOT


@pytest.fixture
def in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def plan(*options: str) -> list[dict[str, Any]]:
    done = CliRunner().invoke(command, ["backup", "--json", *options])
    assert done.exit_code == 0, done.output
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.mark.usefixtures("in_the_project")
def test_the_names_are_those_of_the_manifests() -> None:
    settings = yaml.safe_load((ROOT / "knative/base/settings.yaml").read_text())["data"]
    stream = json.loads((ROOT / "nats-eventing/deadletter-stream.json").read_text())["name"]
    text = json.dumps(plan())
    for name in (settings["BUCKET_NAME"], settings["STORAGE_ENDPOINT"], settings["API_KEYS_FILE"], stream):
        assert name in text
    assert "KN_DARKROOM__DARKROOM_KNE_TRIGGER" in text
    assert "darkroom-ingest" in text
    assert "darkroom-recovery" in text


@pytest.mark.usefixtures("in_the_project")
def test_each_thing_has_a_place_a_reason_and_commands_unless_it_needs_none() -> None:
    for item in plan():
        assert item["where"]
        assert item["why"]
        assert item["commands"] or item["why"].startswith("nothing")


def test_outside_of_a_project_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(command, ["backup"])
    assert done.exit_code == 1
    assert "BUCKET_NAME" in done.output


def items(**settings: str) -> dict[str, BackupItem]:
    return {item.what: item for item in backup_plan(Deployment(settings=settings, data_folder="/data"))}


def test_a_file_that_the_settings_name_is_kept() -> None:
    without, with_files = items(), items(WEBHOOKS_FILE="/w.yaml", PRESETS_FILE="/p.yaml")
    assert {with_files[what].where for what in with_files.keys() - without.keys()} == {"/w.yaml", "/p.yaml"}


def test_a_folder_of_pictures_is_copied_as_files() -> None:
    [pictures, *_] = backup_plan(Deployment(settings={"STORAGE_TYPE": "local", "STORAGE_ENDPOINT": "/pictures"}))
    assert pictures.where == "/pictures"
    assert not any("s3" in line for line in pictures.commands)


def test_a_job_store_in_postgresql_is_dumped() -> None:
    assert "pg_dump" in items(JOB_STORE="postgres")["the job store"].commands[0]
    assert "redis" in items(JOB_STORE="redis")["the job store"].commands[0]
