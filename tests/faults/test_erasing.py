"""Erasing jobs in every state, by a scan of everything that a running stack keeps.

DARKROOM_ERASED_JOBS=100 erases so many; `pytest -s` shows what the scans saw.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import httpx
import pytest

from darkroom.contract.jobs import JobStatus
from darkroom.imaging.photograph import make_photograph
from tests.faults.faulty_stack import BUCKET, FaultyStack
from tests.faults.orders import KILLING_WIDTH, SLOW_WIDTH
from tests.faults.scanning import scan
from tests.stack import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

JOBS = int(os.environ.get("DARKROOM_ERASED_JOBS", "50"))
"""More than the window of the Broker has room for, so that some wait in their lane."""
GONE_WITHIN_S = 60.0


def erase(faulty: FaultyStack, job_id: str) -> None:
    answer = httpx.delete(f"{faulty.stack.addresses['api']}/api/v1/jobs/{job_id}", timeout=60)
    assert answer.status_code == 204, answer.text


def letters_of(faulty: FaultyStack, job_ids: list[str]) -> set[str]:
    with faulty.letters() as letters:
        return {str(kept.letter.job_id) for kept in letters.list(limit=1000)} & set(job_ids)


def give_up(faulty: FaultyStack, picture: bytes, count: int) -> list[str]:
    with faulty.deadly():
        jobs = faulty.stack.submit_many(count, "resize", picture, width=KILLING_WIDTH)
        for job in jobs:
            assert faulty.stack.ended(job, within_s=240)["status"] == "failed"
    eventually(lambda: letters_of(faulty, jobs) == set(jobs), within_s=60, what="all are dead letters")
    return jobs


def states(faulty: FaultyStack, jobs: list[str]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for job in jobs:
        record = faulty.record(job)
        assert record is not None
        state = "waiting in its lane" if record.in_lane else str(record.status)
        if record.redrives and record.status is not JobStatus.FAILED:
            state = "redriven"
        elif record.status is JobStatus.FAILED:
            state = "cancelled" if record.error and record.error.code == "job.cancelled" else "dead-lettered"
        counted[state] = counted.get(state, 0) + 1
    return counted


def test_of_jobs_in_every_state_nothing_is_found_a_minute_after_they_were_erased(faulty: FaultyStack) -> None:
    picture, stack = make_photograph(401, 301), faulty.stack
    gone, redriven = give_up(faulty, picture, 2)
    completed = stack.submit_many(3, "crop", picture, width=40, height=30)
    for job in completed:
        stack.completed(job)
    with faulty.s3_client() as s3:
        s3.create_multipart_upload(Bucket=BUCKET, Key=f"uploads/{completed[0]}/original.jpg")
    faulty.slow(3)
    others = stack.submit_many(JOBS - 5, "resize", picture, width=SLOW_WIDTH)
    cancelled = others.pop()
    assert httpx.post(f"{stack.addresses['api']}/api/v1/jobs/{cancelled}/cancel", timeout=60).status_code == 200
    store = faulty.store
    store.redrive(UUID(redriven))
    store.close()
    jobs = [gone, redriven, *completed, *others, cancelled]
    before, found_before = states(faulty, jobs), scan(faulty)
    assert set(before) >= {
        "waiting in its lane",
        "queued",
        "processing",
        "completed",
        "dead-lettered",
        "redriven",
        "cancelled",
    }, before
    assert len(found_before.naming(jobs)) > len(jobs)

    began = time.monotonic()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda job: erase(faulty, job), jobs))
    erased_in_s = time.monotonic() - began
    for job in jobs:
        assert httpx.get(f"{stack.addresses['api']}/api/v1/jobs/{job}", timeout=60).status_code == 404
    eventually(lambda: not scan(faulty).naming(jobs), within_s=4 * GONE_WITHIN_S, what="nothing is found of them")
    gone_in_s = time.monotonic() - began
    after = scan(faulty)
    assert after.naming(jobs) == []
    assert not [place for place, body in after.places.items() if body == picture], "the picture itself"
    for name, text in after.logs.items():
        for job in jobs:
            assert f"processed/{job}".encode() not in text, name
            assert f"uploads/{job}".encode() not in text, name
    for job in jobs:
        erase(faulty, job)  # its tombstone
    print(  # noqa: T201
        f"\n{len(jobs)} jobs, {before}: DELETE took {erased_in_s:.1f} s, all was gone after {gone_in_s:.1f} s"
        f"\nbefore: {found_before}; {len(found_before.naming(jobs))} places named a job"
        f"\nafter: {after}; 0 named one"
    )


def test_an_original_goes_with_the_last_job_that_refers_to_it(faulty: FaultyStack) -> None:
    picture, stack = make_photograph(403, 301), faulty.stack
    maker = stack.submit("crop", picture, width=40, height=30)
    original = f"uploads/{maker}/original.jpg"
    answer = httpx.post(
        f"{stack.addresses['api']}/api/v1/crop",
        json={"parameters": {"width": 30, "height": 30}, "input": {"storage_key": original}},
        timeout=60,
    )
    user = str(answer.json()["job_id"])
    for job in (maker, user):
        stack.completed(job)

    erase(faulty, maker)
    eventually(lambda: not faulty.stored(f"processed/{maker}"), within_s=120, what="the results are erased")
    assert faulty.stored("uploads/" + maker) == [original]
    assert stack.job(user)["status"] == "completed"

    erase(faulty, user)
    eventually(lambda: not faulty.stored("uploads/" + maker), within_s=120, what="the original is erased")
