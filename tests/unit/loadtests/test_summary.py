"""How a run is evaluated, whatever state the load was left in."""

from __future__ import annotations

import pytest

from darkroom.contract.jobs import JobStatus
from loadtests.errors import EmptyRunError
from loadtests.ledger import Submission
from loadtests.load import Load
from loadtests.objective import Objective
from loadtests.shapes import SHAPES
from loadtests.summary import RunSummary
from loadtests.verdict import Verdict


@pytest.fixture
def load() -> Load:
    return Load(
        shape=SHAPES["burst"],
        scale=1.0,
        settle_s=1.0,
        broker_url=None,
        headers={},
        on_end=lambda job: None,
        pictures={},
    )


def summary_of(load: Load) -> RunSummary:
    return RunSummary.of(
        load, verdict=Verdict(), objective=Objective(), host="http://here", generator_cpu_s=0.0, observed=None
    )


def posted(load: Load, *, pictures: int = 1) -> Submission:
    submission = load.ledger.open(["resize 2K"] * pictures)
    load.ledger.sent(submission)
    return submission


def complete(load: Load, submission: Submission, job_id: str) -> None:
    load.ledger.accepted(submission, [job_id])
    load.ledger.ended(job_id, JobStatus.COMPLETED)


def test_what_an_interrupt_cut_off_breaks_no_objective(load: Load) -> None:
    complete(load, posted(load), "a")
    posted(load, pictures=10)
    load.interrupted = True
    summary = summary_of(load)
    assert summary.faults() == [
        "interrupted: 0 of 500 visitors had come, and 10 pictures were cut off on their way in",
    ]
    assert (summary.asked, summary.cut_off, summary.turned_away) == (1, 10, 0)


def test_what_was_refused_for_good_breaks_it_also_before_an_interrupt(load: Load) -> None:
    complete(load, posted(load), "a")
    load.ledger.given_up(posted(load))
    load.interrupted = True
    summary = summary_of(load)
    assert not summary.objective_result.is_met
    assert (summary.asked, summary.cut_off, summary.turned_away) == (2, 0, 1)


def test_what_was_still_unanswered_when_the_time_was_up_was_turned_away(load: Load) -> None:
    complete(load, posted(load), "a")
    posted(load)
    summary = summary_of(load)
    assert not summary.objective_result.is_met
    assert (summary.asked, summary.cut_off, summary.turned_away) == (2, 0, 1)


def test_a_run_that_was_interrupted_before_anything_was_answered_is_not_evaluated(load: Load) -> None:
    posted(load)
    load.interrupted = True
    with pytest.raises(EmptyRunError, match="nothing was handed in"):
        summary_of(load)
