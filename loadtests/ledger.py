"""Records what visitors submitted and which answers they got, while the load runs. No I/O, no evaluation.

A submission is what a visitor wants done: a number of pictures, however often he sends it. Retries after a refusal, and
deliberate duplicates, belong to the same submission, so a submission of n pictures must end as exactly n jobs.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from darkroom.contract.jobs import JobStatus


@dataclass(kw_only=True, eq=False)
class Submission:
    key: str
    """The Idempotency-Key, or the prefix of its events' ids."""
    orders: tuple[str, ...]
    """The name of each picture's order."""
    story: str = ""
    """The visitor's."""
    posted_at: float | None = None
    """The time of its first POST, in seconds since the epoch."""
    request_ids: set[str] = field(default_factory=set)
    job_ids: list[str] = field(default_factory=list)
    """In the order of its pictures; any more than that are doubled."""
    refusals: list[str] = field(default_factory=list)
    """Each answer other than 202, and `no answer` for none."""
    is_given_up: bool = False
    """Refused permanently, or as often as a visitor tries."""


@dataclass(kw_only=True)
class FollowedJob:
    job_id: str
    order: str
    posted_at: float
    accepted_at: float
    ended_at: float | None = None
    """When the visitor, or the audit, saw its end."""
    seen_by: str | None = None
    """How its end was seen: waiting, polling or audit (loadtests.recording)."""
    status: JobStatus | None = None
    error: str | None = None
    document: Mapping[str, Any] = field(default_factory=dict)
    """The job as the API showed it to the audit."""

    @property
    def took_s(self) -> float | None:
        """Seconds from the first POST until its end was seen."""
        return None if self.ended_at is None else self.ended_at - self.posted_at

    @property
    def recorded_s(self) -> float | None:
        """Seconds from its acceptance to its end by the job store's clock, which no polling blurs."""
        if "finished_at" not in self.document:
            return None
        began, ended = (datetime.fromisoformat(self.document[name]) for name in ("created_at", "finished_at"))
        return (ended - began).total_seconds()


class Ledger:
    def __init__(self, clock: Callable[[], float]) -> None:
        """Start empty. `clock` returns seconds since the epoch."""
        self._clock = clock
        self._submissions: dict[str, Submission] = {}
        self.jobs: dict[str, FollowedJob] = {}
        self.changed: dict[str, Submission] = {}
        """By key: what a worker still has to report to the master (loadtests.ledger_exchange)."""
        self._submission_of_job: dict[str, Submission] = {}

    def open(self, orders: Sequence[str], *, story: str = "") -> Submission:
        submission = Submission(key=str(uuid.uuid4()), orders=tuple(orders), story=story)
        self._submissions[submission.key] = submission
        return submission

    def adopt(self, submission: Submission, jobs: Iterable[FollowedJob]) -> None:
        """Take a submission with its jobs from a worker's ledger, in the place of what that said of it before."""
        self._submissions[submission.key] = submission
        for job in jobs:
            self.jobs[job.job_id] = job
            self._submission_of_job[job.job_id] = submission

    def sent(self, submission: Submission) -> str:
        """Return the request id of this attempt, by which its jobs can be found should its answer get lost."""
        if submission.posted_at is None:
            submission.posted_at = self._clock()
        request_id = str(uuid.uuid4())
        submission.request_ids.add(request_id)
        self._note(submission)
        return request_id

    def refused(self, submission: Submission, answer: str) -> None:
        submission.refusals.append(answer)
        self._note(submission)

    def given_up(self, submission: Submission) -> None:
        submission.is_given_up = True
        self._note(submission)

    def accepted(self, submission: Submission, job_ids: Iterable[str]) -> None:
        """Record the answer's jobs, again for a duplicate. A job that is new then is one too many, and followed all the
        same.
        """
        for job_id in job_ids:
            if job_id in submission.job_ids:
                continue
            place = min(len(submission.job_ids), len(submission.orders) - 1)
            submission.job_ids.append(job_id)
            now = self._clock()
            self._note(submission)
            self._submission_of_job[job_id] = submission
            self.jobs[job_id] = FollowedJob(
                job_id=job_id,
                order=submission.orders[place],
                posted_at=now if submission.posted_at is None else submission.posted_at,
                accepted_at=now,
            )

    def ended(
        self, job_id: str, status: JobStatus, error: str | None = None, *, seen_by: str | None = None
    ) -> FollowedJob | None:
        """Record a job's end. Returns the job if the end was not known yet."""
        job = self.jobs[job_id]
        if job.status is not None:
            return None
        job.ended_at, job.status, job.error, job.seen_by = self._clock(), status, error, seen_by
        self._note(self._submission_of_job[job_id])
        return job

    def _note(self, submission: Submission) -> None:
        self.changed[submission.key] = submission

    @property
    def submissions(self) -> Collection[Submission]:
        """In the order in which they were opened."""
        return self._submissions.values()

    # --- totals ------------------------------------------------------------------------------------------------------

    @property
    def posted(self) -> list[Submission]:
        return [one for one in self.submissions if one.posted_at is not None]

    @property
    def cut_off(self) -> list[Submission]:
        """The submissions that were posted and not accepted, by visitors who would have retried or were still waiting
        for the answer.
        """
        return [one for one in self.posted if not one.job_ids and not one.is_given_up]

    @property
    def unfinished(self) -> list[FollowedJob]:
        return [job for job in self.jobs.values() if job.status is None]

    @property
    def completed_s(self) -> list[float]:
        """How long each completed job took, in seconds."""
        completed = (job.took_s for job in self.jobs.values() if job.status is JobStatus.COMPLETED)
        return [took_s for took_s in completed if took_s is not None]

    def submission_of(self, job_id: str) -> Submission:
        return self._submission_of_job[job_id]

    def by_request(self) -> dict[str, Submission]:
        return {request_id: submission for submission in self.submissions for request_id in submission.request_ids}


def pictures(submissions: Iterable[Submission]) -> int:
    return sum(len(one.orders) for one in submissions)


def first_posts(submissions: Iterable[Submission]) -> list[float]:
    """Return the moment of each picture's first POST."""
    return [one.posted_at for one in submissions if one.posted_at is not None for _ in one.orders]
