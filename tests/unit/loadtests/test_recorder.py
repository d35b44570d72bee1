"""The recording has every picture of a run once, with what became of it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from darkroom.contract.jobs import JobStatus
from loadtests import recording
from loadtests.ledger import Submission
from loadtests.load import Load
from loadtests.objective import Objective
from loadtests.observing import ColdStart, Observation, Observed
from loadtests.recorder import recording_of
from loadtests.recording import RecordedInstances, RecordedJob
from loadtests.report_files import keep_earlier
from loadtests.shapes import SHAPES
from loadtests.summary import RunSummary
from loadtests.verdict import Verdict
from tests.unit.loadtests.recorded import RUN

PICTURES = MappingProxyType({"2K": b"x" * 1000, "12 MP": b"x" * 4000, "small PNG": b"x" * 10})


@pytest.fixture
def load() -> Load:
    load = Load(
        shape=SHAPES["burst"],
        scale=0.1,
        settle_s=1.0,
        broker_url=None,
        headers={},
        on_end=lambda job: None,
        pictures=PICTURES,
    )
    load.begin()
    return load


def posted(load: Load, *orders: str, story: str = "UploadAndPoll") -> Submission:
    submission = load.ledger.open(orders, story=story)
    load.ledger.sent(submission)
    return submission


def recorded(load: Load, verdict: Verdict | None = None, observed: Observed | None = None) -> recording.Recording:
    summary = RunSummary.of(
        load,
        verdict=verdict or Verdict(),
        objective=Objective(),
        host="http://here",
        generator_cpu_s=0.0,
        observed=observed,
        stretch=2.0,
    )
    return recording_of(summary)


def outcomes(jobs: Any) -> list[tuple[str, str]]:
    return [(job.order, job.outcome) for job in jobs]


def test_a_completed_job_has_its_sizes_its_story_and_the_times_of_both_sides(load: Load) -> None:
    load.ledger.accepted(posted(load, "resize 2K"), ["a"])
    load.ledger.ended("a", JobStatus.COMPLETED, seen_by="polling")
    began_at = load.begin().began_at
    load.ledger.jobs["a"].document = {
        "created_at": _text(began_at + 1),
        "started_at": _text(began_at + 2),
        "finished_at": _text(began_at + 3.5),
        "timings_ms": {"queued": 9, "fetch": 5, "render": 61, "store": 7},
        "attempts": 1,
        "cost_class": "standard",
    }
    [job] = recorded(load).jobs
    assert isinstance(job, RecordedJob)
    assert (job.job_type, job.input_bytes, job.input_width_px, job.input_height_px) == ("resize", 1000, 2048, 1536)
    assert (job.story, job.follows, job.outcome, job.job_id) == ("UploadAndPoll", "polling", "completed", "a")
    assert (job.created_s, job.started_s, job.finished_s) == pytest.approx((1, 2, 3.5), abs=0.001)
    assert (job.fetch_ms, job.render_ms, job.store_ms, job.attempts, job.cost_class) == (5, 61, 7, 1, "standard")


def _text(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


def test_every_picture_has_a_row_with_what_became_of_it(load: Load) -> None:
    batch = posted(load, "resize 2K", "crop 2K", "resize small PNG", story="BatchImporter")
    load.ledger.accepted(batch, ["lost", "stuck", "failed"])
    load.ledger.ended("failed", JobStatus.FAILED, "image.corrupt", seen_by="audit")
    load.ledger.given_up(posted(load, "resize 12 MP"))
    posted(load, "renditions 2K")
    verdict = Verdict(lost=["lost (resize 2K): gone"], stuck=["stuck (crop 2K): still queued"])
    assert outcomes(recorded(load, verdict).jobs) == [
        ("resize 2K", "lost"),
        ("crop 2K", "stuck"),
        ("resize small PNG", "failed"),
        ("resize 12 MP", "refused"),
        ("renditions 2K", "refused"),
    ]
    load.interrupted = True
    assert outcomes(recorded(load, verdict).jobs)[-1] == ("renditions 2K", "cut off")


def test_observations_become_rows_of_the_services_that_ever_had_an_instance(load: Load) -> None:
    load.ledger.accepted(posted(load, "resize 2K"), ["a"])
    at = load.begin().began_at
    seen = Observed(
        source="here",
        observations=[
            Observation(at=at + 1, backlog=4, wanted={"a": 2, "b": 0}, ready={"a": 0, "b": 0}, cold_starts={}),
            Observation(
                at=at + 1.5, backlog=None, wanted={"a": 2}, ready={"a": 1}, cold_starts={}, capped=frozenset("a")
            ),
        ],
        cold_starts=[ColdStart(at=at + 1.25, service="a", took_s=0.25)],
    )
    run = recorded(load, observed=seen)
    assert [round(row.at_s, 6) for row in run.instances] == [1, 1.5]
    assert [(row.service, row.wanted, row.ready, row.capped) for row in run.instances] == [
        ("a", 2, 0, False),
        ("a", 2, 1, True),
    ]
    assert all(isinstance(row, RecordedInstances) for row in run.instances)
    assert [row.events for row in run.backlog] == [4]
    assert [row.took_s for row in run.cold_starts] == [0.25]
    assert (run.run.observed, run.run.observed_every_s, run.run.stretch, run.run.seed) == ("here", 0.5, 2.0, None)


def test_an_earlier_report_keeps_its_content_under_the_time_of_its_run(tmp_path: Path) -> None:
    page = tmp_path / "burst.html"
    assert keep_earlier(page) is None
    page.write_text("the page")
    recording.write(RUN, page.with_suffix(".json"))
    kept = keep_earlier(page)
    assert kept == tmp_path / "burst-20261130-120000.html"
    assert kept.read_text() == "the page"
    assert recording.read(kept) == RUN
    assert not page.exists()
