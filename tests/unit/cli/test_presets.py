"""`darkroom presets`, and the presets in `darkroom check`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from darkroom.cli.commands import command
from darkroom.preset_check import preset_complaints
from darkroom.serving.preset_file import PresetFile, PresetFileError, read_presets
from tests.stack import ROOT


def test_the_presets_of_the_project_are_those_of_the_cluster() -> None:
    own = read_presets(ROOT / "presets.yaml")
    in_the_cluster = (ROOT / "knative/base/presets.yaml").read_text()
    block = in_the_cluster.partition("  presets.yaml: |\n")[2]
    text = "".join(line[4:] for line in block.splitlines(keepends=True))
    assert (ROOT / "presets.yaml").read_text().endswith(text)
    assert len(own) == text.count("type:")


def test_the_presets_of_a_file_are_shown_with_their_digests(tmp_path: Path) -> None:
    file = tmp_path / "presets.yaml"
    file.write_text("thumb: {type: resize, parameters: {width: 200}}\n")
    done = CliRunner().invoke(command, ["presets", str(file), "--json"])
    assert done.exit_code == 0, done.output
    shown = json.loads(done.output)
    assert shown == {"name": "thumb", "type": "resize", "parameters": {"width": 200}, "digest": "9959008cb7b73222"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("thumb: {type: resize, parameters: {wdth: 200}}", "thumb.parameters.wdth: unknown field"),
        (
            "a: {type: resize, parameters: {width: 1}}\na: {type: resize, parameters: {width: 2}}",
            "line 2: 'a' is given twice",
        ),
        ("a: [", "not YAML: line 1"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "presets.yaml"
    file.write_text(text)
    with pytest.raises(PresetFileError) as refused:
        read_presets(file)
    assert words in str(refused.value)
    done = CliRunner().invoke(command, ["presets", str(file)])
    assert done.exit_code == 1


def test_a_file_is_read_again_when_it_changes_and_a_bad_one_changes_nothing(tmp_path: Path) -> None:
    now_s = 0.0
    file = tmp_path / "presets.yaml"
    file.write_text("thumb: {type: resize, parameters: {width: 200}}")
    source = PresetFile(file, clock=lambda: now_s)
    (tmp_path / "new").write_text("thumb: {type: resize, parameters: {width: 2}}")
    (tmp_path / "new").replace(file)
    assert source.current().named("thumb").parameters == {"width": 200}
    now_s = 0.5
    assert source.current().named("thumb").parameters == {"width": 2}
    for number, text in enumerate(("thumb: 3", None), start=2):
        file.unlink()
        if text is not None:
            file.write_text(text)
        now_s = float(number)
        assert source.current().named("thumb").parameters == {"width": 2}


def test_mistakes_are_found_in_the_file_and_in_config_maps_with_their_lines(tmp_path: Path) -> None:
    bad = "thumb:\n  type: resize\n  parameters: {wdth: 3}\nface:\n  type: blur\n  parameters: {}\n"
    (tmp_path / "presets.yaml").write_text(bad)
    manifests = tmp_path / "knative"
    manifests.mkdir()
    shutil.copy(ROOT / "knative/base/presets.yaml", manifests / "presets.yaml")
    changed = (manifests / "presets.yaml").read_text().replace("width: 200", "wdth: 200")
    (manifests / "presets.yaml").write_text(changed)
    found = preset_complaints(tmp_path, [manifests])
    assert [(one.file.parent.name, one.line, one.message.partition(":")[0]) for one in found] == [
        (tmp_path.name, 1, "thumb.parameters.wdth"),
        (tmp_path.name, 4, "face.type"),
        ("knative", changed.splitlines().index("    thumb:") + 1, "thumb.parameters.wdth"),
    ]


def test_check_reports_them_for_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("knative/base", "nats-eventing"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "darkroom.toml", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(command, ["check"]).exit_code == 0
    (tmp_path / "presets.yaml").write_text("thumb: {type: resize, parameters: {wdth: 3}}")
    done = CliRunner().invoke(command, ["check"])
    assert done.exit_code == 1
    assert "presets.yaml:1: error [presets] thumb.parameters.wdth: unknown field" in done.output
