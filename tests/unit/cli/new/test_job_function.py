"""The row of a new kind of job; tests/acceptance/test_new_job_type.py runs one."""

from __future__ import annotations

import ast

import click
import pytest

from darkroom.cli.new.job_function import with_row
from tests.unit.cli.conftest import Darkroom
from tests.unit.cli.new.conftest import ROOT

TABLE = (ROOT / "darkroom/contract/job_types.py").read_text()


@pytest.mark.parametrize(
    ("name", "neighbour"), [("blur", "crop"), ("greyscale", "job"), ("sepia", "resize"), ("z", "resize")]
)
def test_a_row_is_added_with_its_import_in_order(name: str, neighbour: str) -> None:
    changed = with_row(TABLE, name=name, model="SomeParameters", summary="Do it")
    ast.parse(changed)
    assert f'    JobType(name="{name}", parameters=SomeParameters, summary="Do it"),\n)\n\nNAMES' in changed
    imports = [line for line in changed.splitlines() if line.startswith("from darkroom.contract.parameters.")]
    assert imports == sorted(imports)
    assert len(imports) == 6
    assert len(changed.splitlines()) == len(TABLE.splitlines()) + 2


def test_a_long_row_is_wrapped_as_the_formatter_does() -> None:
    changed = with_row(TABLE, name="sepia", model="SepiaParameters", summary="Turn " + "a picture " * 7)
    assert max(len(line) for line in changed.splitlines()) <= 120
    assert '    JobType(\n        name="sepia",\n        parameters=SepiaParameters,\n' in changed


def test_a_kind_of_job_that_is_there_is_refused() -> None:
    with pytest.raises(click.UsageError, match="there is a kind of job 'crop' already"):
        with_row(TABLE, name="crop", model="CropParameters", summary="Crop")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("to-grey",), "lower-case letters and digits, a letter first"),
        (("grey", "--summary", 'a"b'), "--summary is one phrase"),
        (("crop",), "there is a kind of job 'crop' already"),
    ],
)
def test_what_cannot_be_a_kind_of_job_is_one_sentence(
    darkroom: Darkroom, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(ROOT)
    done = darkroom("new", "function", *arguments, "--type", "job", "--dry-run")
    assert done.exit_code == 2, done.output
    assert words in done.output


def test_an_event_function_of_ours_sends_its_dead_letters_where_ours_go(
    darkroom: Darkroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    done = darkroom("new", "function", "audit", "--event-type", "dev.darkroom.job.completed", "--dry-run")
    assert done.exit_code == 0, done.output
    assert "--- knative/base/audit.yaml (new)" in done.output
    assert "--- tests/unit/functions/test_audit.py (new)" in done.output
    assert (
        "deadLetterSink:\n      ref:\n        apiVersion: serving.knative.dev/v1\n        kind: Service\n"
        in done.output
    )
    assert "        name: recovery\n" in done.output
