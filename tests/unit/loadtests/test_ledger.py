from __future__ import annotations

import pytest

from darkroom.contract.jobs import JobStatus
from loadtests.ledger import Ledger, first_posts, pictures


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(clock: Clock) -> Ledger:
    return Ledger(clock)


def test_a_jobs_time_is_from_the_first_post_to_the_first_sight_of_its_end(ledger: Ledger, clock: Clock) -> None:
    submission = ledger.open(["resize 2K"])
    ledger.sent(submission)
    clock.now += 2
    ledger.refused(submission, "503")
    ledger.sent(submission)
    clock.now += 1
    ledger.accepted(submission, ["a"])
    clock.now += 4
    assert ledger.ended("a", JobStatus.COMPLETED) is ledger.jobs["a"]
    clock.now += 9
    assert ledger.ended("a", JobStatus.COMPLETED) is None
    assert ledger.jobs["a"].took_s == 7
    assert ledger.completed_s == [7]
    assert len(submission.request_ids) == 2


def test_a_duplicate_that_gets_the_same_job_changes_nothing(ledger: Ledger) -> None:
    submission = ledger.open(["crop 2K"])
    for _ in range(2):
        ledger.sent(submission)
        ledger.accepted(submission, ["a"])
    assert submission.job_ids == ["a"]
    assert len(ledger.jobs) == 1


def test_a_second_job_of_one_picture_is_written_down_and_followed(ledger: Ledger) -> None:
    submission = ledger.open(["crop 2K"])
    ledger.sent(submission)
    ledger.accepted(submission, ["a"])
    ledger.accepted(submission, ["b"])
    assert submission.job_ids == ["a", "b"]
    assert [job.job_id for job in ledger.unfinished] == ["a", "b"]


def test_a_batchs_jobs_have_the_orders_of_its_pictures(ledger: Ledger) -> None:
    submission = ledger.open(["one", "two", "three"])
    ledger.sent(submission)
    ledger.accepted(submission, ["a", "b", "c"])
    assert [job.order for job in ledger.jobs.values()] == ["one", "two", "three"]
    assert pictures(ledger.posted) == 3
    assert first_posts(ledger.posted) == [1000.0] * 3


def test_what_was_never_sent_was_not_posted(ledger: Ledger) -> None:
    ledger.open(["never sent"])
    sent = ledger.open(["sent"])
    ledger.sent(sent)
    assert ledger.posted == [sent]


def test_who_is_neither_accepted_nor_out_of_tries_is_cut_off_when_he_has_to_go(ledger: Ledger) -> None:
    accepted, refused, trying, waiting = (ledger.open([name]) for name in ("accepted", "refused", "trying", "waiting"))
    for submission in (accepted, refused, trying, waiting):
        ledger.sent(submission)
    ledger.accepted(accepted, ["a"])
    ledger.refused(refused, "422")
    ledger.given_up(refused)
    ledger.refused(trying, "503")
    assert ledger.cut_off == [trying, waiting]


def test_a_failed_job_has_ended_and_counts_for_no_time(ledger: Ledger) -> None:
    submission = ledger.open(["one"])
    ledger.sent(submission)
    ledger.accepted(submission, ["a"])
    ledger.ended("a", JobStatus.FAILED, "image.crashed")
    assert ledger.completed_s == []
    assert ledger.unfinished == []
