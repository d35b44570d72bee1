"""The audit after the load: every accepted job is followed to its end, every result fetched, every job of the run
counted.

It uses only the API, by the Python client, so that a cluster can be audited as well as a laptop.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import httpx

from darkroom.client import ApiError, Client, JobState, NotAnsweringError, StillRunningError
from darkroom.contract.jobs import JobStatus
from darkroom.contract.listing import MAX_LIMIT
from loadtests.ledger import FollowedJob, Ledger
from loadtests.recording import AUDIT
from loadtests.verdict import Verdict

_AT_ONCE = 16
_CLOCKS_DIFFER_S = 60.0
"""The job store's clock may be behind ours by this much."""
_DOWNLOAD_S = 30.0


class Audit:
    def __init__(self, client: Client, ledger: Ledger, *, results: httpx.Client | None = None) -> None:
        """Audit with these clients. `results` fetches signed URLs; it has no API key."""
        self._client = client
        self._ledger = ledger
        self._results = results or httpx.Client(timeout=_DOWNLOAD_S)
        self.checked = 0
        """How many jobs have been compared with what exists, of those in the ledger."""

    def run(self, *, began_at: float, settle_s: float) -> Verdict:
        """Run the audit. `began_at` is before the first POST, in seconds since the epoch."""
        verdict = Verdict()
        self._find_unnamed(began_at)
        self._settle(settle_s)
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            for problem in threads.map(self._problem, list(self._ledger.jobs.values())):
                self.checked += 1
                if problem is not None:
                    verdict.lost.append(problem)
        self._count(verdict)
        return verdict

    def _find_unnamed(self, began_at: float) -> None:
        """Add the jobs that no answer named: their 202 got lost, or a duplicate made a second job."""
        submissions = self._ledger.by_request()
        for job in self._client.jobs(limit=MAX_LIMIT):
            if _created_at(job.document) < began_at - _CLOCKS_DIFFER_S:
                return
            submission = submissions.get(str(job.document.get("request_id")))
            if submission is not None:
                self._ledger.accepted(submission, [job.job_id])

    def _settle(self, within_s: float) -> None:
        ends_at = time.monotonic() + within_s
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            list(threads.map(lambda job: self._follow(job, ends_at), self._ledger.unfinished))

    def _follow(self, job: FollowedJob, ends_at: float) -> None:
        try:
            state = self._client.end_of(job.job_id, timeout_s=max(0.0, ends_at - time.monotonic()))
        except StillRunningError as exc:
            job.error = f"still {exc.status}"
        except (ApiError, NotAnsweringError) as exc:
            job.error = str(exc)
        else:
            self._ledger.ended(job.job_id, state.status, _error_code(state), seen_by=AUDIT)

    def _problem(self, job: FollowedJob) -> str | None:
        """Return why a job counts as lost. Every job is checked again, also one whose end a visitor saw."""
        try:
            state = self._client.job(job.job_id)
        except ApiError as exc:
            return f"{job.job_id} ({job.order}): accepted, and the API answers {exc.status} {exc.code}"
        except NotAnsweringError as exc:
            return f"{job.job_id} ({job.order}): could not be looked at: {exc}"
        job.document = state.document
        if state.status is not JobStatus.COMPLETED:
            return None
        missing = len(state.results) - len(state.made)
        if missing:
            return (
                f"{job.job_id} ({job.order}): completed, and {missing} of {len(state.results)} renditions are not made"
            )
        wrong = next(filter(None, map(self._wrong_with_result, _results(state))), None)
        return None if wrong is None else f"{job.job_id} ({job.order}): completed, and {wrong}"

    def _wrong_with_result(self, result: dict[str, Any]) -> str | None:
        try:
            answer = self._results.get(result["url"])
        except httpx.TransportError as exc:
            return f"its result could not be fetched: {exc!r}"
        if answer.status_code != 200:
            return f"the signed URL of its result answers {answer.status_code}"
        found = (len(answer.content), answer.headers.get("content-type"))
        promised = (result["bytes"], result["content_type"])
        return None if found == promised else f"its result is {found}, promised were {promised}"

    def _count(self, verdict: Verdict) -> None:
        jobs = self._ledger.jobs.values()
        verdict.accepted = len(jobs)
        verdict.completed = sum(job.status is JobStatus.COMPLETED for job in jobs)
        verdict.failed = sum(job.status is JobStatus.FAILED for job in jobs)
        gone = {case.partition(" ")[0] for case in verdict.lost}
        verdict.stuck = [
            f"{job.job_id} ({job.order}): {job.error}" for job in self._ledger.unfinished if job.job_id not in gone
        ]
        verdict.doubled = [
            f"{len(one.orders)} pictures became jobs {', '.join(one.job_ids)}"
            for one in self._ledger.submissions
            if len(one.job_ids) > len(one.orders)
        ]


def _results(state: JobState) -> list[dict[str, Any]]:
    """Return the one result, or those of all renditions."""
    return list(state.made.values()) or [state.result]


def _created_at(document: dict[str, Any]) -> float:
    return datetime.fromisoformat(document["created_at"]).timestamp()


def _error_code(state: JobState) -> str | None:
    return str(state.error["code"]) if state.status is JobStatus.FAILED else None
