"""`darkroom new project`: what it writes, and that it never overwrites."""

from __future__ import annotations

from pathlib import Path

import pytest

from darkroom.check import check
from darkroom.manifests.load import load
from darkroom.manifests.project import read_project
from tests.unit.cli.conftest import Darkroom
from tests.unit.cli.new.conftest import files_in


def test_a_new_project_has_a_broker_that_the_runtime_takes_and_the_linter_likes(
    darkroom: Darkroom, folder: Path
) -> None:
    done = darkroom("new", "project", "shop")
    assert done.exit_code == 0, done.output
    project = read_project(folder)
    manifests = load(project.manifests)
    assert [(broker.namespace, broker.name) for broker in manifests.brokers] == [("shop", "default")]
    assert [service.name for service in manifests.services] == ["deadletters"]
    assert check(project.manifests) == []


def test_it_is_begun_in_an_empty_folder_and_elsewhere_in_a_new_one(darkroom: Darkroom, folder: Path) -> None:
    (folder / ".git").mkdir()
    assert darkroom("new", "project", "shop").exit_code == 0
    done = darkroom("new", "project", "bakery")
    assert done.exit_code == 0, done.output
    assert "cd bakery" in done.output
    assert (folder / "darkroom.toml").is_file()
    assert (folder / "bakery" / "darkroom.toml").is_file()
    assert "namespace: bakery" in (folder / "bakery" / "knative" / "broker.yaml").read_text()


def test_a_dot_begins_it_in_this_folder_under_the_folders_name(
    darkroom: Darkroom, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "notes.txt").write_text("mine")
    assert darkroom("new", "project", ".").exit_code == 0
    assert "namespace: empty" in (folder / "knative" / "broker.yaml").read_text()
    (folder / "My Shop").mkdir()
    monkeypatch.chdir(folder / "My Shop")
    done = darkroom("new", "project", ".")
    assert done.exit_code == 2
    assert "did you mean 'my-shop'?" in done.output


def test_nothing_is_written_if_one_of_its_files_is_there_already(darkroom: Darkroom, folder: Path) -> None:
    (folder / "README.md").write_text("mine")
    (folder / "knative").mkdir()
    (folder / "knative" / "broker.yaml").write_text("mine: too")
    before = files_in(folder)
    done = darkroom("new", "project", ".")
    assert done.exit_code == 1
    assert "nothing was written, because knative/broker.yaml, README.md are there already" in done.output
    assert files_in(folder) == before


def test_a_dry_run_shows_the_files_and_writes_none(darkroom: Darkroom, folder: Path) -> None:
    done = darkroom("new", "project", "shop", "--dry-run")
    assert done.exit_code == 0
    assert "--- knative/broker.yaml (new)\n" in done.output
    assert "eventing.knative.dev/broker.class: MTChannelBasedBroker" in done.output
    assert list(folder.iterdir()) == []


def test_every_file_that_was_written_is_named(darkroom: Darkroom, folder: Path) -> None:
    done = darkroom("new", "project", "shop")
    named = {line.split()[1] for line in done.output.splitlines() if line.startswith("wrote ")}
    assert named == set(files_in(folder))


def test_a_folder_that_cannot_be_written_to_is_one_sentence(darkroom: Darkroom, folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")
    (folder / "shop").write_text("a file, where the folder would be")
    done = darkroom("new", "project", "shop")
    assert done.exit_code == 1
    assert "shop" in done.output
    assert "Traceback" not in done.output
