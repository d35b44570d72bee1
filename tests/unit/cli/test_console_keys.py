from __future__ import annotations

import json
from pathlib import Path

from darkroom.console.keys import KeyFile, digest
from tests.unit.cli.conftest import Darkroom


def test_a_key_is_created_listed_and_removed(darkroom: Darkroom, tmp_path: Path) -> None:
    file, out = tmp_path / "keys" / "console.json", tmp_path / "anna.key"
    done = darkroom(
        "console-keys", "create", "--name", "anna", "--scope", "act", "--out", str(out), "--file", str(file)
    )
    assert done.exit_code == 0, done.output
    key = out.read_text().strip()
    found = KeyFile(path=file).find(key)
    assert found is not None
    assert (found.name, found.scope, found.sha256) == ("anna", "act", digest(key))
    assert key not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0

    shown = darkroom("console-keys", "list", "--json", "--file", str(file))
    assert json.loads(shown.stdout) == {"name": "anna", "scope": "act"}
    assert darkroom("console-keys", "remove", "anna", "--file", str(file)).exit_code == 0
    assert KeyFile(path=file).find(key) is None


def test_a_key_reads_unless_it_shall_act(darkroom: Darkroom, tmp_path: Path) -> None:
    file = tmp_path / "console.json"
    done = darkroom("console-keys", "create", "--name", "bob", "--file", str(file))
    found = KeyFile(path=file).find(done.stdout.strip())
    assert found is not None
    assert found.scope == "read"


def test_a_name_is_given_once_and_removed_once(darkroom: Darkroom, tmp_path: Path) -> None:
    file = str(tmp_path / "console.json")
    assert darkroom("console-keys", "create", "--name", "anna", "--file", file).exit_code == 0
    again = darkroom("console-keys", "create", "--name", "anna", "--file", file)
    assert again.exit_code == 1
    assert "has a key of the name 'anna' already" in again.output
    unknown = darkroom("console-keys", "remove", "bob", "--file", file)
    assert unknown.exit_code == 1
    assert "no key of the name 'bob'" in unknown.output
