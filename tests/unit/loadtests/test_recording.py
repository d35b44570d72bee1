"""The file that other programs read a run from."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest

from loadtests import recording
from loadtests.errors import RecordingError
from loadtests.recording import RecordedBacklog, RecordedColdStart, RecordedInstances, RecordedJob, RecordedRun
from tests.unit.loadtests.recorded import RUN


def test_a_recording_is_read_as_it_was_written(tmp_path: Path) -> None:
    recording.write(RUN, tmp_path / "runs" / "burst.json")
    assert recording.read(tmp_path / "runs" / "burst.json") == RUN


def test_a_report_stands_for_the_recording_beside_it(tmp_path: Path) -> None:
    recording.write(RUN, tmp_path / "burst.json")
    assert recording.read(tmp_path / "burst.html") == RUN


def test_each_row_is_a_line_and_times_are_rounded_to_the_millisecond() -> None:
    text = recording.dumps(replace(RUN, backlog=[RecordedBacklog(at_s=1.23456, events=3)]))
    assert "\n[1.235,3]]}" in text
    assert recording.dumps(recording.loads(text)) == text


def test_only_what_was_completed_took_a_time() -> None:
    assert [job.took_s for job in RUN.jobs] == [1.25, None]


def test_a_later_column_is_ignored() -> None:
    document = json.loads(recording.dumps(RUN))
    document["jobs"]["columns"].append("colour")
    for row in document["jobs"]["rows"]:
        row.append("blue")
    document["run"]["weather"] = "fine"
    assert recording.loads(json.dumps(document)) == RUN


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<html>", "not JSON"),
        ("[]", 'has to be "darkroom-load-run"'),
        ('{"format": "darkroom-load-run", "version": 2}', "its version is 2; this program reads up to 1"),
        ('{"format": "darkroom-load-run", "version": 1, "run": {}}', "missing"),
    ],
)
def test_what_is_no_recording_is_refused_with_the_reason(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(RecordingError, match=said) as refused:
        recording.read(tmp_path / "run.json")
    assert str(tmp_path / "run.json") in str(refused.value)


def test_a_recording_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"there is no recording .*burst\.json, which should lie beside"):
        recording.read(tmp_path / "burst.html")


@pytest.mark.parametrize("row", [RecordedRun, RecordedJob, RecordedInstances, RecordedBacklog, RecordedColdStart])
def test_the_documentation_of_the_format_names_each_field(row: type) -> None:
    assert [field.name for field in fields(row) if field.name not in (recording.__doc__ or "")] == []
