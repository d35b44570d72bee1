from __future__ import annotations

import io

import pytest

from darkroom.contract.jobs import JobStatus
from loadtests.load import Load
from loadtests.observing import Observation, Observed
from loadtests.progress import ProgressLine, audit_line, load_line
from loadtests.shapes import SHAPES


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def load() -> Load:
    load = Load(
        shape=SHAPES["burst"],
        scale=1.0,
        settle_s=1.0,
        broker_url=None,
        headers={},
        on_end=lambda job: None,
        pictures={},
    )
    load.begin()
    return load


def test_the_line_counts_what_came_what_is_done_and_what_waits(load: Load) -> None:
    for job_id in "abc":
        submission = load.ledger.open(["resize 2K"])
        load.ledger.sent(submission)
        load.ledger.accepted(submission, [job_id])
    load.ledger.ended("a", JobStatus.COMPLETED)
    load.ledger.ended("b", JobStatus.FAILED, "image.corrupt")
    now = Observation(at=0, backlog=3, wanted={"resize": 4, "crop": 0}, ready={"resize": 2, "crop": 0}, cold_starts={})
    line = load_line(load, Observed(source="here", observations=[now]))
    assert line.startswith("0 of 10 s, 3 handed in, 1 done, 1 failed, 1 under way (the oldest for ")
    assert line.endswith(", resize 2/4")


def test_the_audit_tells_what_it_follows_and_then_what_it_compares() -> None:
    assert audit_line(unfinished=4, checked=0, jobs=9) == "the load is over; following 4 jobs to their end"
    assert audit_line(unfinished=0, checked=7, jobs=9) == "the load is over; compared 7 of 9 jobs with what exists"


def test_on_a_terminal_one_line_is_rewritten_and_left() -> None:
    screen = Screen()
    line = ProgressLine(lambda: 0.0, to=screen)
    line.show("a long line")
    line.show("short")
    line.end()
    assert screen.getvalue() == "\ra long line\rshort      \n"


def test_elsewhere_a_line_is_added_every_ten_seconds() -> None:
    now = 0.0
    pipe = io.StringIO()
    line = ProgressLine(lambda: now, to=pipe)
    for now in (0.0, 1.0, 9.0, 10.5, 11.0):
        line.show(f"at {now:g}")
    line.end()
    assert pipe.getvalue() == "at 0\nat 10.5\n"
