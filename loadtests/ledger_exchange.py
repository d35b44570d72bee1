"""What a worker reports to the master about its part of the load, as plain values for locust's messages. No I/O.

A report has each submission that changed since the last one, whole: it may be merged twice, and a later one replaces an
earlier one.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from darkroom.contract.jobs import JobStatus
from loadtests.ledger import FollowedJob, Ledger, Submission


def take_changes(ledger: Ledger) -> list[dict[str, Any]]:
    """Return what changed since the last call."""
    changed, ledger.changed = ledger.changed, {}
    return [
        {
            "submission": {**asdict(submission), "request_ids": sorted(submission.request_ids)},
            "jobs": [_plain(ledger.jobs[job_id]) for job_id in submission.job_ids],
        }
        for submission in changed.values()
    ]


def merge(ledger: Ledger, changes: list[dict[str, Any]]) -> None:
    """Enter a worker's changes into the one ledger."""
    for change in changes:
        entry = change["submission"]
        submission = Submission(
            **{**entry, "orders": tuple(entry["orders"]), "request_ids": set(entry["request_ids"])},
        )
        ledger.adopt(submission, [_job(job) for job in change["jobs"]])


def _plain(job: FollowedJob) -> dict[str, Any]:
    return {**asdict(job), "status": None if job.status is None else job.status.value}


def _job(plain: dict[str, Any]) -> FollowedJob:
    return FollowedJob(**{**plain, "status": None if plain["status"] is None else JobStatus(plain["status"])})
