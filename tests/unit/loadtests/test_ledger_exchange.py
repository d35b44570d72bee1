"""Two workers and one ledger: whatever is reported, in pieces or twice, it is the ledger of one process."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from darkroom.contract.jobs import JobStatus
from loadtests.ledger import Ledger
from loadtests.ledger_exchange import merge, take_changes


@pytest.fixture
def worker() -> Ledger:
    return Ledger(time.time)


@pytest.fixture
def master() -> Ledger:
    return Ledger(time.time)


def sent(changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the changes as they arrive."""
    received: list[dict[str, Any]] = json.loads(json.dumps(changes))
    return received


def as_values(ledger: Ledger) -> tuple[list[Any], dict[str, Any]]:
    return [vars(one) for one in ledger.submissions], ledger.jobs


def test_the_masters_ledger_becomes_that_of_the_worker(worker: Ledger, master: Ledger) -> None:
    accepted, refused = worker.open(["resize 2K", "crop 2K"], story="BatchImporter"), worker.open(["resize 2K"])
    worker.sent(accepted)
    worker.accepted(accepted, ["a", "b"])
    worker.ended("a", JobStatus.COMPLETED, seen_by="polling")
    worker.ended("b", JobStatus.FAILED, "image.corrupt", seen_by="waiting")
    worker.sent(refused)
    worker.refused(refused, "429 rate.limited")
    worker.given_up(refused)
    merge(master, sent(take_changes(worker)))
    assert as_values(master) == as_values(worker)
    assert master.submission_of("a").key == accepted.key
    assert master.by_request().keys() == worker.by_request().keys()


def test_only_what_changed_is_reported_and_replaces_what_was_known(worker: Ledger, master: Ledger) -> None:
    one, other = worker.open(["resize 2K"]), worker.open(["crop 2K"])
    for submission, job_id in ((one, "a"), (other, "b")):
        worker.sent(submission)
        worker.accepted(submission, [job_id])
    merge(master, sent(take_changes(worker)))
    worker.ended("b", JobStatus.COMPLETED)
    changes = sent(take_changes(worker))
    assert [change["submission"]["key"] for change in changes] == [other.key]
    merge(master, changes)
    merge(master, changes)
    assert as_values(master) == as_values(worker)
    assert take_changes(worker) == []


def test_the_ledgers_of_two_workers_are_one(worker: Ledger, master: Ledger) -> None:
    second = Ledger(time.time)
    for ledger, job_id in ((worker, "a"), (second, "b")):
        submission = ledger.open(["resize 2K"])
        ledger.sent(submission)
        ledger.accepted(submission, [job_id])
        merge(master, sent(take_changes(ledger)))
    assert set(master.jobs) == {"a", "b"}
    assert len(master.posted) == 2
