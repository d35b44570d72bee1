"""Restoring jobs with several results: each rendition that storage has is kept."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from darkroom.adapters.jobs import NewJob
from darkroom.adapters.jobs.keeper import Keeper, encode_keeper
from darkroom.adapters.jobs.result_metadata import result_metadata
from darkroom.contract.jobs import JobResult, JobStatus, keeper_key, rendition_key
from darkroom.imaging.photograph import make_photograph
from darkroom.serving.testing import deliver
from functions.renditions.main import renditions
from tests.unit.cli.test_restore import Lost, counts

NAMES = ("face", "hero", "thumb")
PICTURE = make_photograph(64, 48)


def asked(**widths: int) -> dict[str, Any]:
    return {"renditions": {name: {"type": "resize", "parameters": {"width": widths.get(name, 8)}} for name in NAMES}}


@pytest.fixture
def lost() -> Lost:
    return Lost()


def keep(lost: Lost, **changes: Any) -> NewJob:
    job = lost.keep(type="renditions", parameters=asked(), **changes)
    lost.storage.put(job.storage_key, PICTURE, content_type="image/jpeg")
    return job


def store(lost: Lost, job: NewJob, name: str, *, extension: str = "jpg", described: bool = True) -> JobResult:
    result = JobResult(
        storage_key=rendition_key(job.job_id, name, extension),
        content_type="image/jpeg",
        width=64,
        height=48,
        bytes=len(PICTURE),
    )
    metadata = result_metadata(result) if described else {}
    lost.storage.put(result.storage_key, PICTURE, content_type="image/jpeg", metadata=metadata)
    return result


def made(lost: Lost, job: NewJob) -> dict[str, Any]:
    record = lost.jobs.get(job.job_id)
    assert record is not None
    return dict(record.made)


@pytest.mark.parametrize("described", [True, False], ids=["described", "probed"])
def test_a_job_of_which_all_are_stored_is_completed(lost: Lost, described: bool) -> None:
    job, other = keep(lost), lost.keep()
    results = {name: store(lost, job, name, described=described) for name in NAMES}
    single = lost.store_result(other)
    assert counts(lost.restore(dry_run=True)) == {"completed": 2}
    assert counts(lost.restore()) == {"completed": 2}
    assert made(lost, job) == results
    record = lost.jobs.get(other.job_id)
    assert record is not None
    assert (record.result, record.made) == (single, {})


def test_of_a_job_that_lacks_one_only_that_is_made(lost: Lost) -> None:
    job = keep(lost)
    results = {name: store(lost, job, name) for name in ("face", "thumb")}
    assert counts(lost.restore()) == {"queued": 1}
    assert made(lost, job) == results
    assert lost.jobs.next_in_line(limit=10)

    event = lost.pipeline.requested(job.job_id)
    assert deliver(renditions.build(lost.pipeline.resources_of("renditions")), event).status == 200
    assert lost.status(job) is JobStatus.COMPLETED
    found = made(lost, job)
    assert {name: found[name] for name in results} == results
    assert (found["hero"].width, found["hero"].height) == (8, 6)


def test_what_was_asked_for_anew_does_not_count_until_it_is_made_anew(lost: Lost) -> None:
    job = keep(lost)
    results = {name: store(lost, job, name) for name in NAMES}
    lost.pipeline.advance(5)
    keeper = Keeper(job=job, created_at=lost.now - timedelta(hours=1), changed=("hero",))
    lost.storage.put(keeper_key(job.job_id), encode_keeper(keeper), content_type="application/json")
    assert counts(lost.restore()) == {"queued": 1}
    assert made(lost, job) == {name: results[name] for name in ("face", "thumb")}


def test_of_one_that_was_made_anew_in_another_format_the_newer_one_is_taken(lost: Lost) -> None:
    job = keep(lost)
    for name in NAMES:
        store(lost, job, name)
    lost.pipeline.advance(5)
    keeper = Keeper(job=job, created_at=lost.now - timedelta(hours=1), changed=("hero",))
    lost.storage.put(keeper_key(job.job_id), encode_keeper(keeper), content_type="application/json")
    newer = store(lost, job, "hero", extension="jpeg")
    assert counts(lost.restore()) == {"completed": 1}
    assert made(lost, job)["hero"] == newer


def test_a_name_that_is_not_asked_for_is_left_alone(lost: Lost) -> None:
    job = keep(lost)
    for name in (*NAMES[:2], "other"):
        store(lost, job, name)
    assert counts(lost.restore()) == {"queued": 1}
    assert set(made(lost, job)) == set(NAMES[:2])


def test_an_old_job_that_lacks_one_may_have_completed(lost: Lost) -> None:
    job = keep(lost, age=timedelta(days=3))
    store(lost, job, "hero")
    assert counts(lost.restore(results_s=24 * 3600.0)) == {"too_old": 1}
    assert counts(lost.restore(results_s=24 * 3600.0, with_old=True)) == {"queued": 1}
