"""Restoring from storage, with the stores in memory."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from darkroom.adapters.deadletters import DeadLetter
from darkroom.adapters.jobs import Lease, NewJob, NextStep
from darkroom.adapters.jobs.keeper import Keeper, KeeperUnreadableError, decode_keeper, encode_keeper
from darkroom.adapters.jobs.memory import MemoryJobStore
from darkroom.adapters.jobs.result_metadata import result_metadata
from darkroom.adapters.storage import LISTED_AT_ONCE
from darkroom.cli.obsolete_letters import drop_obsolete
from darkroom.cli.restoring import BATCH, Choice, Progress, Report, Restoring, Retention
from darkroom.contract.errors import DependencyUnavailableError
from darkroom.contract.jobs import JobResult, JobStatus, keeper_key
from darkroom.contract.limits import Limits
from darkroom.imaging.photograph import make_photograph
from darkroom.serving.testing import MemoryPipeline
from tests.contract.job_stores import new_job

DAY_S = 24 * 3600.0


class Lost:
    """A pipeline whose job store begins empty, while storage has what was there before."""

    def __init__(self) -> None:
        self.pipeline = MemoryPipeline("ingest")
        self.storage = self.pipeline.storage
        self.jobs: MemoryJobStore = self.pipeline.jobs
        self.unreadable: list[tuple[str, str]] = []
        self.progress: list[float] = []

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.pipeline.now_s(), tz=UTC)

    def keep(self, *, age: timedelta = timedelta(hours=1), **changes: Any) -> NewJob:
        job = new_job(**changes)
        body = encode_keeper(Keeper(job=job, created_at=self.now - age))
        self.storage.put(keeper_key(job.job_id), body, content_type="application/json")
        return job

    def store_result(self, job: NewJob, *, described: bool = True) -> JobResult:
        picture = make_photograph(64, 48)
        key = f"processed/{job.job_id}.jpg"
        result = JobResult(
            storage_key=key, content_type="image/jpeg", width=64, height=48, bytes=len(picture), placeholder=None
        )
        metadata = result_metadata(result) if described else {}
        self.storage.put(key, picture, content_type="image/jpeg", metadata=metadata)
        return result

    def restore(self, *, results_s: float | None = None, records_s: float | None = 7 * DAY_S, **choice: Any) -> Report:
        return Restoring(
            jobs=self.jobs,
            storage=self.storage,
            retention=Retention(records_s=records_s, results_s=results_s),
            limits=Limits(),
            choice=Choice(**choice),
            on_unreadable=lambda key, reason: self.unreadable.append((key, reason)),
            on_progress=self._advanced,
            clock=self.pipeline.now_s,
        ).run()

    def _advanced(self, progress: Progress) -> None:
        self.progress.append(progress.share)

    def status(self, job: NewJob) -> JobStatus | None:
        record = self.jobs.get(job.job_id)
        return None if record is None else record.status


@pytest.fixture
def lost() -> Lost:
    return Lost()


def counts(report: Report) -> dict[str, int]:
    names = ("completed", "queued", "exists", "expired", "too_old", "unreadable", "erased")
    return {name: getattr(report, name) for name in names if getattr(report, name)}


@pytest.mark.parametrize("described", [True, False], ids=["described", "probed"])
def test_a_job_whose_result_is_stored_is_completed_with_its_facts(lost: Lost, described: bool) -> None:
    job = lost.keep()
    result = lost.store_result(job, described=described)
    assert counts(lost.restore()) == {"completed": 1}
    record = lost.jobs.get(job.job_id)
    assert record is not None
    assert record.result == result


def test_a_result_that_is_no_picture_is_rendered_again(lost: Lost) -> None:
    job = lost.keep()
    lost.storage.put(f"processed/{job.job_id}.jpg", b"no picture", content_type="image/jpeg")
    assert counts(lost.restore()) == {"queued": 1}


def test_each_job_finds_its_own_result_however_many_there_are(lost: Lost) -> None:
    """More than a page and a batch of each, results without a keeper and uploads that are no keepers between them."""
    jobs = [lost.keep() for _ in range(LISTED_AT_ONCE + BATCH // 2)]
    completed = jobs[::3]
    for job in completed:
        key = f"processed/{job.job_id}.png"
        result = JobResult(storage_key=key, content_type="image/png", width=1, height=2, bytes=1)
        lost.storage.put(key, b"x", content_type="image/png", metadata=result_metadata(result))
    for _ in range(LISTED_AT_ONCE):
        lost.storage.put(f"processed/{uuid.uuid4()}.png", b"x", content_type="image/png")
        lost.storage.put(f"uploads/{uuid.uuid4()}/original.jpg", b"x", content_type="image/jpeg")
    report = lost.restore()
    assert counts(report) == {"completed": len(completed), "queued": len(jobs) - len(completed)}
    assert {job.job_id for job in jobs if lost.status(job) is JobStatus.COMPLETED} == {job.job_id for job in completed}
    assert lost.progress == sorted(lost.progress)
    assert len(lost.progress) == -(-len(jobs) // BATCH)


def test_a_second_run_changes_nothing_and_reads_no_keeper(lost: Lost, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [lost.keep() for _ in range(3)]
    lost.restore()
    monkeypatch.setattr(lost.storage, "get", None)
    assert counts(lost.restore()) == {"exists": len(jobs)}


def test_a_dry_run_counts_the_same_and_writes_nothing(lost: Lost) -> None:
    lost.keep()
    for age_days in (1, 9):
        lost.store_result(lost.keep(age=timedelta(days=age_days)))
    dry = counts(lost.restore(dry_run=True))
    assert not any(lost.jobs.backlog().by_status.values())
    assert dry == counts(lost.restore()) == {"queued": 1, "completed": 2}


def test_a_record_that_would_have_expired_is_not_restored(lost: Lost) -> None:
    job = lost.keep()
    lost.store_result(job)
    lost.pipeline.advance(8 * DAY_S)
    assert counts(lost.restore(dry_run=True)) == counts(lost.restore()) == {"expired": 1}
    assert lost.status(job) is None


def test_a_job_whose_result_may_have_expired_is_not_rendered_again_unasked(lost: Lost) -> None:
    lost.keep(age=timedelta(days=3))
    lost.keep(age=timedelta(days=1))
    assert counts(lost.restore(results_s=2 * DAY_S)) == {"too_old": 1, "queued": 1}
    assert counts(lost.restore(results_s=2 * DAY_S, with_old=True)) == {"queued": 1, "exists": 1}


def test_since_leaves_older_jobs_alone(lost: Lost) -> None:
    old = lost.keep()
    lost.pipeline.advance(3600)
    new = lost.keep()
    assert counts(lost.restore(since=lost.now - timedelta(minutes=30))) == {"queued": 1}
    assert (lost.status(old), lost.status(new)) == (None, JobStatus.QUEUED)


def test_a_keeper_that_cannot_be_read_is_named_and_stops_nothing(lost: Lost) -> None:
    job_id, good = uuid.uuid4(), lost.keep()
    lost.storage.put(keeper_key(job_id), b"{", content_type="application/json")
    assert counts(lost.restore()) == {"unreadable": 1, "queued": 1}
    assert [key for key, _ in lost.unreadable] == [keeper_key(job_id)]
    assert lost.status(good) is JobStatus.QUEUED


def test_a_run_that_was_cut_off_goes_on_where_it_was(lost: Lost) -> None:
    jobs = [lost.keep() for _ in range(BATCH + 5)]
    restore, calls = lost.jobs.restore, []

    def fails_the_second_time(batch: Any) -> Any:
        calls.append(len(batch))
        if len(calls) == 2:
            raise DependencyUnavailableError("jobs", "a test")
        return restore(batch)

    lost.jobs.restore = fails_the_second_time  # type: ignore[method-assign,assignment]
    with pytest.raises(DependencyUnavailableError):
        lost.restore()
    assert counts(lost.restore()) == {"exists": BATCH, "queued": len(jobs) - BATCH}


def test_what_was_erased_does_not_come_back(lost: Lost) -> None:
    job, erased = lost.keep(), lost.keep()
    get = lost.storage.get

    def erased_meanwhile(key: str, *, max_bytes: int) -> bytes:
        if key == keeper_key(erased.job_id):
            lost.storage.delete(key)
        return get(key, max_bytes=max_bytes)

    lost.storage.get = erased_meanwhile  # type: ignore[method-assign]
    assert counts(lost.restore()) == {"queued": 1, "erased": 1}
    assert lost.status(erased) is None
    assert lost.status(job) is JobStatus.QUEUED


def test_letters_of_restored_jobs_are_dropped_and_others_kept(lost: Lost) -> None:
    letters, restored = lost.pipeline.dead_letters, lost.keep()
    failed = _failed(lost)
    for job_id in (str(restored.job_id), str(failed), str(uuid.uuid4()), "no id", None):
        letter = DeadLetter(reason="delivery.failed", event={}, job_id=job_id, origin="test", detail="")
        letters.keep(letter, key=str(uuid.uuid4()))
    lost.pipeline.advance(1)
    lost.restore()
    assert drop_obsolete(letters, lost.jobs) == 1
    lost.pipeline.advance(1)
    late = DeadLetter(reason="image.crashed", event={}, job_id=str(restored.job_id), origin="test", detail="")
    letters.keep(late, key="late")
    assert drop_obsolete(letters, lost.jobs) == 0, "what it reports happened after the restoration"


def _failed(lost: Lost) -> UUID:
    job_id = lost.pipeline.accept()
    for _ in range(4):
        claim = lost.jobs.claim(job_id, worker="w")
        if isinstance(claim, Lease):
            lost.jobs.release(claim, DependencyUnavailableError("worker", "a test"), counts=True)
    assert lost.jobs.recover(job_id, DependencyUnavailableError("broker", "a test")).step is not NextStep.EMIT
    return job_id


KEEPER = Keeper(job=new_job(idempotency_key="key", turn=2.5, cost_class="heavy"), created_at=datetime.now(UTC))


def test_a_keeper_holds_every_field_of_a_new_job() -> None:
    read = decode_keeper(encode_keeper(KEEPER), KEEPER.job.job_id)
    assert read.job == KEEPER.job
    assert abs(read.created_at - KEEPER.created_at) < timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"version": 2}, "version"),
        ({"created_at": "yesterday"}, "created_at"),
        ({"job": {"type": "resize"}}, "job_id"),
        ({"job": [1]}, "job"),
    ],
)
def test_what_is_no_keeper_is_refused(changes: dict[str, Any], why: str) -> None:
    document = {**json.loads(encode_keeper(KEEPER)), **changes}
    with pytest.raises(KeeperUnreadableError, match=why):
        decode_keeper(json.dumps(document).encode(), KEEPER.job.job_id)


def test_the_keeper_of_another_job_or_of_an_unknown_type_is_refused() -> None:
    with pytest.raises(KeeperUnreadableError, match="keeper of job"):
        decode_keeper(encode_keeper(KEEPER), uuid.uuid4())
    unknown = replace(KEEPER, job=replace(KEEPER.job, type="sepia"))
    with pytest.raises(KeeperUnreadableError, match="sepia"):
        decode_keeper(encode_keeper(unknown), KEEPER.job.job_id)


def test_what_a_later_version_adds_is_left_out() -> None:
    document = json.loads(encode_keeper(KEEPER))
    document["job"]["colour_space"] = document["signature"] = "new"
    assert decode_keeper(json.dumps(document).encode(), KEEPER.job.job_id).job == KEEPER.job
