"""A job's life as spans."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from darkroom.contract.jobs import Attempt, JobRecord, JobStatus
from darkroom.job_console.timeline import InstanceStart, spans_of, timeline_chart

T0 = datetime(2026, 11, 30, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def job(*history: Attempt, status: JobStatus = JobStatus.QUEUED, **more: Any) -> JobRecord:
    return JobRecord(
        job_id=UUID(int=7),
        type="resize",
        status=status,
        owner="",
        parameters={"width": 32},
        storage_key="uploads/7/original.jpg",
        request_id="r",
        created_at=T0,
        history=history,
        **more,
    )


def attempt(fence: int, begin: float, end: float | None = None, code: str | None = None) -> Attempt:
    ended_at = None if end is None else after(end)
    return Attempt(fence=fence, worker="w", started_at=after(begin), ended_at=ended_at, code=code)


def rows(record: JobRecord, now: float, *starts: InstanceStart) -> list[tuple[str, float, float]]:
    zero = T0.timestamp()
    spans = spans_of(record, now=after(now), starts=starts)
    return [(span.label, round(span.begin - zero, 3), round(span.end - zero, 3)) for span in spans]


def test_a_job_that_nobody_claimed_waits_until_now() -> None:
    assert rows(job(), 4) == [("waits for an instance", 0, 4)]
    assert rows(job(in_lane=True), 4) == [("waits in its lane", 0, 4)]


def test_attempts_and_the_waits_between_them_follow_each_other() -> None:
    record = job(attempt(1, 2, 5, "image.crashed"), attempt(2, 9))
    assert rows(record, 10) == [
        ("waits for an instance", 0, 2),
        ("attempt 1", 2, 5),
        ("waits for the next attempt", 5, 9),
        ("attempt 2", 9, 10),
    ]


def test_the_steps_of_the_attempt_that_completed_are_part_of_it() -> None:
    record = job(
        attempt(1, 1, 1.1),
        status=JobStatus.COMPLETED,
        timings_ms={"queued": 1000, "fetch": 10, "render": 60, "store": 20},
        finished_at=after(1.1),
    )
    assert rows(record, 99) == [
        ("waits for an instance", 0, 1),
        ("attempt 1", 1, 1.1),
        ("fetch", 1, 1.01),
        ("render", 1.01, 1.07),
        ("store", 1.07, 1.09),
    ]


def test_an_instance_that_started_while_the_job_waited_is_a_cold_start() -> None:
    meanwhile = InstanceStart(name="resize-00001", ready_at=T0.timestamp() + 1.5, took_s=1.0)
    later = InstanceStart(name="resize-00001", ready_at=T0.timestamp() + 60, took_s=1.0)
    assert rows(job(attempt(1, 2, 3), status=JobStatus.COMPLETED), 9, meanwhile, later) == [
        ("waits for an instance", 0, 2),
        ("cold start of resize-00001", 0.5, 1.5),
        ("attempt 1", 2, 3),
    ]


def test_a_job_that_was_cancelled_before_any_attempt_has_waited_until_its_end() -> None:
    assert rows(job(status=JobStatus.FAILED, finished_at=after(3)), 99) == [("waits for an instance", 0, 3)]


def test_the_chart_says_in_words_what_it_draws() -> None:
    chart = timeline_chart(job(attempt(1, 2, 5, "<b>")), now=after(5))
    assert "<b>" not in chart
    assert "attempt 1: &lt;b&gt;, 3 s, from 2 s" in chart
