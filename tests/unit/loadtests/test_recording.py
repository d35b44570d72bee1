"""The file that other programs read a run from."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest

from loadtests import recording
from loadtests.errors import RecordingError
from loadtests.recording import (
    RecordedBacklog,
    RecordedColdStart,
    RecordedInstances,
    RecordedJob,
    RecordedRun,
    Recording,
)

JOB = RecordedJob(
    arrival_s=0.25,
    job_type="resize",
    order="resize 2K",
    input_bytes=513_221,
    input_width_px=2048,
    input_height_px=1536,
    story="UploadAndWait",
    follows="waiting",
    outcome="completed",
    accepted_s=0.31,
    ended_s=1.5,
    created_s=0.3,
    started_s=1.4,
    finished_s=1.48,
    fetch_ms=5,
    render_ms=61,
    store_ms=7,
    attempts=1,
    cost_class="standard",
    job_id="a",
)
RUN = Recording(
    run=RecordedRun(
        shape="burst",
        scale=0.5,
        stretch=1.0,
        seed=None,
        host="http://127.0.0.1:8080",
        began_at="2026-11-30T12:00:00+00:00",
        shape_s=10.0,
        ended_s=31.5,
        generators=1,
        interrupted=False,
        objective={"ratio": 0.995, "within_s": 10.0},
        passed=True,
        poll_every_s=1.0,
        observed="the local runtime",
        observed_every_s=0.5,
    ),
    jobs=[JOB, replace(JOB, outcome="refused", accepted_s=None, ended_s=None, job_id=None)],
    instances=[RecordedInstances(at_s=0.5, service="darkroom/resize", wanted=10, ready=0, capped=False)],
    backlog=[RecordedBacklog(at_s=0.5, events=40)],
    cold_starts=[RecordedColdStart(at_s=1.2, service="darkroom/resize", took_s=0.7)],
)


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
