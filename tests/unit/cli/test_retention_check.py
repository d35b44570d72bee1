"""The retention of dead letters in `darkroom check`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from darkroom.cli.commands import command
from darkroom.retention_check import retention_complaints
from tests.stack import ROOT

SETTINGS = ROOT / "knative/base/settings.yaml"
DEFINITION = ROOT / "nats-eventing/deadletter-stream.json"
DAY_NS = 86400 * 10**9


def definition_with(tmp_path: Path, max_age_ns: int) -> Path:
    file = tmp_path / "deadletter-stream.json"
    file.write_text(json.dumps({**json.loads(DEFINITION.read_text()), "max_age": max_age_ns}, indent=2))
    return file


def settings_with(tmp_path: Path, retention: str) -> Path:
    file = tmp_path / "settings.yaml"
    file.write_text(SETTINGS.read_text().replace("JOB_RETENTION: 7d", f"JOB_RETENTION: {retention}"))
    return file


@pytest.mark.parametrize(
    ("max_age_ns", "retention", "is_refused"),
    [
        (7 * DAY_NS, "7d", False),
        (7 * DAY_NS - 1, "7d", True),
        (30 * DAY_NS, "60s", False),
        (0, '"off"', False),
        (30 * DAY_NS, '"off"', True),
        (30 * DAY_NS, "soon", False),
    ],
)
def test_letters_may_not_go_before_the_records_of_their_jobs(
    tmp_path: Path, max_age_ns: int, retention: str, is_refused: bool
) -> None:
    found = retention_complaints(definition_with(tmp_path, max_age_ns), [settings_with(tmp_path, retention)])
    assert bool(found) is is_refused
    for one in found:
        assert "max_age" in one.file.read_text().splitlines()[one.line - 1]


def test_what_is_no_definition_has_other_complaints(tmp_path: Path) -> None:
    for text in ("", "[]", '{"max_age": "long"}'):
        (tmp_path / "stream.json").write_text(text)
        assert retention_complaints(tmp_path / "stream.json", [SETTINGS]) == []
    assert retention_complaints(tmp_path / "missing.json", [SETTINGS]) == []


def test_check_reports_it_for_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("knative/base", "nats-eventing"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "darkroom.toml", tmp_path)
    definition_with(tmp_path / "nats-eventing", DAY_NS)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(command, ["check"])
    assert done.exit_code == 1
    assert "[dead-letter-retention] max_age is 1 d, and JOB_RETENTION is 7d" in done.output
