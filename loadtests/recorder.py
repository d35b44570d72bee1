"""Turns a run's summary into its recording."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from loadtests.ledger import FollowedJob, Submission
from loadtests.observing import EVERY_S, Observed
from loadtests.orders import PICTURES, order_named
from loadtests.polling import POLL_EVERY_S
from loadtests.recording import (
    RecordedBacklog,
    RecordedColdStart,
    RecordedInstances,
    RecordedJob,
    RecordedRun,
    Recording,
)
from loadtests.summary import RunSummary


def recording_of(summary: RunSummary) -> Recording:
    observed = summary.observed
    return Recording(
        run=_run(summary),
        jobs=sorted(_jobs(summary), key=lambda job: job.arrival_s),
        instances=[] if observed is None else list(_instances(observed, summary.began_at)),
        backlog=[] if observed is None else list(_backlog(observed, summary.began_at)),
        cold_starts=[] if observed is None else list(_cold_starts(observed, summary.began_at)),
    )


def _run(summary: RunSummary) -> RecordedRun:
    objective, observed = summary.objective_result.objective, summary.observed
    return RecordedRun(
        shape=summary.shape.name,
        scale=summary.scale,
        stretch=summary.stretch,
        seed=None if summary.shape.tail is None else summary.seed,
        host=summary.host,
        began_at=datetime.fromtimestamp(summary.began_at, UTC).isoformat(timespec="milliseconds"),
        shape_s=summary.shape.seconds,
        ended_s=round(summary.ended_at - summary.began_at, 3),
        generators=summary.generators,
        interrupted=summary.interrupted,
        objective={"ratio": objective.ratio, "within_s": objective.within_s},
        passed=summary.passed,
        poll_every_s=POLL_EVERY_S,
        observed=None if observed is None else observed.source,
        observed_every_s=None if observed is None else EVERY_S,
    )


def _jobs(summary: RunSummary) -> Iterator[RecordedJob]:
    jobs = {job.job_id: job for job in summary.jobs}
    broken = _broken(summary)
    for submission in summary.submissions:
        for place, name in enumerate(submission.orders):
            job = jobs[submission.job_ids[place]] if place < len(submission.job_ids) else None
            outcome = _outcome(job, broken) if job is not None else _unaccepted(summary, submission)
            yield _recorded(summary, submission, name, outcome, job)


def _broken(summary: RunSummary) -> dict[str, str]:
    """Return the jobs whose promise was broken, by their ids, with what became of them."""
    cases = (("stuck", summary.verdict.stuck), ("lost", summary.verdict.lost))
    return {case.partition(" ")[0]: outcome for outcome, found in cases for case in found}


def _unaccepted(summary: RunSummary, submission: Submission) -> str:
    return "cut off" if summary.interrupted and not submission.is_given_up else "refused"


def _outcome(job: FollowedJob, broken: dict[str, str]) -> str:
    if job.job_id in broken:
        return broken[job.job_id]
    return "stuck" if job.status is None else job.status.value


def _recorded(
    summary: RunSummary, submission: Submission, name: str, outcome: str, job: FollowedJob | None
) -> RecordedJob:
    order, began_at = order_named(name), summary.began_at
    posted_at = submission.posted_at or began_at
    row: dict[str, Any] = {
        "arrival_s": posted_at - began_at,
        "job_type": order.job_type.name,
        "order": name,
        **_picture(summary, order.picture),
        "story": submission.story or None,
        "outcome": outcome,
    }
    if job is None:
        return RecordedJob(follows=None, **row)
    return RecordedJob(
        **row,
        follows=job.seen_by,
        accepted_s=job.accepted_at - began_at,
        ended_s=None if job.ended_at is None else job.ended_at - began_at,
        job_id=job.job_id,
        **_of_its_record(job.document, began_at),
    )


def _picture(summary: RunSummary, name: str) -> dict[str, Any]:
    kind = PICTURES[name]
    return {
        "input_bytes": summary.input_bytes.get(name),
        "input_width_px": kind.width_px,
        "input_height_px": kind.height_px,
    }


def _of_its_record(document: Any, began_at: float) -> dict[str, Any]:
    """Return what the job's record says, as the API shows it; nothing of a job that the audit could not read."""
    timings: dict[str, int] = document.get("timings_ms", {})
    return {
        **{f"{what}_s": _moment(document.get(f"{what}_at"), began_at) for what in ("created", "started", "finished")},
        **{f"{step}_ms": timings.get(step) for step in ("fetch", "render", "store")},
        "attempts": document.get("attempts"),
        "cost_class": document.get("cost_class"),
    }


def _moment(text: str | None, began_at: float) -> float | None:
    return None if text is None else datetime.fromisoformat(text).timestamp() - began_at


def _instances(observed: Observed, began_at: float) -> Iterator[RecordedInstances]:
    seen = {name for one in observed.observations for name, count in (*one.wanted.items(), *one.ready.items()) if count}
    for one in observed.observations:
        for service in sorted(seen):
            yield RecordedInstances(
                at_s=one.at - began_at,
                service=service,
                wanted=one.wanted.get(service),
                ready=one.ready.get(service),
                capped=service in one.capped,
            )


def _backlog(observed: Observed, began_at: float) -> Iterator[RecordedBacklog]:
    for one in observed.observations:
        if one.backlog is not None:
            yield RecordedBacklog(at_s=one.at - began_at, events=one.backlog)


def _cold_starts(observed: Observed, began_at: float) -> Iterator[RecordedColdStart]:
    for start in observed.cold_starts:
        yield RecordedColdStart(at_s=start.at - began_at, service=start.service, took_s=start.took_s)
