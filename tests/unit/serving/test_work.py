"""One delivery from start to end, with fakes for the outside systems; the real ones pass the same contract suites."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from darkroom.adapters.jobs import Outcome
from darkroom.adapters.jobs.memory import MemoryJobStore
from darkroom.adapters.storage.memory import MemoryStorage
from darkroom.contract import events
from darkroom.contract.errors import DependencyUnavailableError, ImageCrashedError, InputNotFoundError
from darkroom.contract.jobs import JobRecord, JobStatus
from darkroom.contract.parameters.resize import ResizeParameters
from darkroom.events.cloudevents import CloudEvent
from darkroom.imaging import Rendition, probe
from darkroom.imaging.photograph import make_photograph
from darkroom.serving.answers import Done, TryAgain
from darkroom.serving.picture import Picture
from darkroom.serving.testing import MemoryPipeline
from darkroom.serving.testing.pipeline import BEGINS_AT_S
from darkroom.serving.work import Job, Worker
from darkroom.telemetry.workers import worker_name


class World(MemoryPipeline):
    """A worker of the resize event, and a job that is accepted and emitted."""

    def __init__(self, body: bytes | None = None, *, accepted_at_s: float = BEGINS_AT_S, **job: Any) -> None:
        super().__init__("resize", begins_at_s=accepted_at_s)
        self.rendered = 0
        self.worker = Worker("dev.darkroom.resize.requested", self.resize, self.resources)
        self.job_id = self.accept(picture=body, **job)

    def resize(self, job: Job[ResizeParameters], picture: Picture) -> Rendition:
        self.rendered += 1
        return picture.render(job.parameters)

    def job(self) -> JobRecord:
        return self.record(self.job_id)

    def event(self) -> CloudEvent:
        return self.requested(self.job_id)


@pytest.fixture(scope="module")
def photograph() -> bytes:
    return make_photograph(64, 48)


def test_a_delivery_completes_its_job_and_replies_with_the_fact(photograph: bytes) -> None:
    world = World(photograph)

    answer = world.worker.handle(world.event())

    record = world.job()
    assert record.status is JobStatus.COMPLETED
    assert record.result is not None
    facts = probe(world.stored_result(world.job_id), world.resources.settings.limits)
    assert (facts.width, facts.height) == (32, 24) == (record.result.width, record.result.height)
    assert isinstance(answer, Done)
    assert answer.reply is not None
    assert (answer.reply.type, answer.reply.subject) == (events.JOB_COMPLETED, str(world.job_id))
    assert answer.reply.json()["result"]["storage_key"] == record.result.storage_key
    assert "url" not in answer.reply.json()["result"]
    assert set(record.timings_ms) == {"queued", "fetch", "render", "store"}


def test_a_duplicate_delivery_never_produces_a_second_result(photograph: bytes) -> None:
    world = World(photograph)
    event = world.event()
    world.worker.handle(event)
    assert world.worker.handle(event) == Done()
    assert world.rendered == 1


def test_a_delivery_that_finds_the_job_held_comes_back_later(photograph: bytes) -> None:
    world = World(photograph)
    world.claim(world.job_id)
    answer = world.worker.handle(world.event())
    assert isinstance(answer, TryAgain)
    assert world.rendered == 0


def dead_neighbour() -> str:
    """Return the worker name of a process of this machine that has ended."""
    host, _, start = worker_name().rsplit(":", 2)
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return f"{host}:{process.pid}:{start}"


@pytest.mark.parametrize(("attempt_s", "code"), [(2, "image.crashed"), (30, "job.timeout")])
def test_the_job_of_a_dead_neighbour_is_claimed_at_once_and_its_attempt_counts(
    photograph: bytes, attempt_s: int, code: str
) -> None:
    world = World(photograph)
    lease = world.claim(world.job_id, worker=dead_neighbour())
    for _ in range(attempt_s // 2):
        world.advance(2)
        world.jobs.renew(lease)

    answer = world.worker.handle(world.event())

    assert isinstance(answer, Done)
    record = world.job()
    assert (record.status, record.attempts) == (JobStatus.COMPLETED, 2)
    assert [attempt.code for attempt in record.history] == [code, None]


def test_a_dead_neighbour_on_the_last_attempt_fails_the_job(photograph: bytes) -> None:
    world = World(photograph)
    for _ in range(2):
        lease = world.claim(world.job_id)
        world.jobs.release(lease, ImageCrashedError("killed"), counts=True)
    world.claim(world.job_id, worker=dead_neighbour())

    answer = world.worker.handle(world.event())

    assert isinstance(answer, Done)
    assert answer.reply is not None
    assert answer.reply.type == events.JOB_FAILED
    assert world.rendered == 0


def test_a_worker_told_to_quit_gives_its_job_back_without_counting_the_attempt(photograph: bytes) -> None:
    world = World(photograph)

    def quit(job: Job[ResizeParameters], picture: Picture) -> Rendition:
        raise SystemExit(0)

    with pytest.raises(SystemExit):
        Worker("dev.darkroom.resize.requested", quit, world.resources).handle(world.event())
    assert (world.job().status, world.job().attempts) == (JobStatus.QUEUED, 0)


def test_a_worker_that_wakes_after_its_lease_stores_nothing_any_more(
    photograph: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the lease check before a late store, the picture with the old parameters would be stored."""
    world = World(photograph)
    now_s = 0.0
    monkeypatch.setattr("darkroom.serving.work.time.monotonic", lambda: now_s)

    def paused(job: Job[ResizeParameters], picture: Picture) -> Rendition:
        nonlocal now_s
        now_s += 60
        world.advance(60)
        late = picture.render(job.parameters)
        world.claim(world.job_id)
        return late

    answer = Worker("dev.darkroom.resize.requested", paused, world.resources).handle(world.event())

    assert isinstance(answer, TryAgain)
    with pytest.raises(InputNotFoundError):
        world.storage.get(f"processed/{world.job_id}.jpg", max_bytes=10**6)


def test_a_corrupt_picture_fails_the_job_and_the_delivery_succeeds() -> None:
    world = World(b"\xff\xd8\xff\xe0 not a picture at all")
    answer = world.worker.handle(world.event())
    assert isinstance(answer, Done)
    assert answer.reply is not None
    assert answer.reply.type == events.JOB_FAILED
    record = world.job()
    assert record.status is JobStatus.FAILED
    assert record.error is not None
    assert record.error.code in {"image.corrupt", "image.truncated"}
    assert record.attempts == 1


def test_a_picture_that_is_not_there_fails_the_job_for_good() -> None:
    world = World()
    world.worker.handle(world.event())
    error = world.job().error
    assert error is not None
    assert error.code == "input.not_found"


def test_storage_that_is_down_costs_no_attempt(photograph: bytes) -> None:
    world = World(photograph)
    healthy = world.storage.get

    def refuse(key: str, *, max_bytes: int) -> bytes:
        raise DependencyUnavailableError("storage", "connection refused")

    world.storage.get = refuse  # type: ignore[method-assign]
    for _ in range(5):
        assert isinstance(world.worker.handle(world.event()), TryAgain)
    assert (world.job().status, world.job().attempts) == (JobStatus.QUEUED, 0)

    world.storage.get = healthy  # type: ignore[method-assign]
    world.worker.handle(world.event())
    assert world.job().status is JobStatus.COMPLETED


def test_a_fault_of_ours_is_tried_three_times_and_then_the_job_fails(photograph: bytes) -> None:
    world = World(photograph)

    def crash(job: Job[ResizeParameters], picture: Picture) -> Rendition:
        world.rendered += 1
        raise ZeroDivisionError

    worker = Worker("dev.darkroom.resize.requested", crash, world.resources)
    for _ in range(3):
        assert isinstance(worker.handle(world.event()), TryAgain)
    answer = worker.handle(world.event())
    assert isinstance(answer, Done)
    assert answer.reply is not None
    assert answer.reply.type == events.JOB_FAILED
    assert world.rendered == 3
    assert world.job().attempts == 3


def test_a_worker_that_lost_its_job_while_paused_is_refused(photograph: bytes) -> None:
    world = World(photograph)

    def paused(job: Job[ResizeParameters], picture: Picture) -> Rendition:
        # It sleeps through its lease, and another worker does the job.
        world.advance(60)
        world.worker.handle(world.event())
        return replace(picture.render(job.parameters), width=1)

    answer = Worker("dev.darkroom.resize.requested", paused, world.resources).handle(world.event())
    assert answer == Done()
    result = world.job().result
    assert result is not None
    assert result.width == 32


def test_a_paused_worker_whose_request_timed_out_meanwhile_has_nothing_to_give_back(
    photograph: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client's timeout continues while its process is stopped, so that is what the worker wakes to."""
    world = World(photograph)
    resources = world.resources_of("resize")
    resources.storage = MemoryStorage()

    def time_out(key: str, *, max_bytes: int) -> bytes:
        world.advance(60)
        assert isinstance(world.worker.handle(world.event()), Done)
        raise DependencyUnavailableError("storage", "GetObject got no answer in time")

    monkeypatch.setattr(resources.storage, "get", time_out)
    with capture_logs() as lines:
        answer = Worker("dev.darkroom.resize.requested", world.resize, resources).handle(world.event())

    assert answer == Done()
    assert (world.job().status, world.job().attempts) == (JobStatus.COMPLETED, 2)
    assert [line["event"] for line in lines][-1] == "job.stale_write_refused"


def test_the_line_of_a_completed_job_tells_computing_from_waiting(photograph: bytes) -> None:
    world = World(photograph)

    def waiting(job: Job[ResizeParameters], picture: Picture) -> Rendition:
        time.sleep(0.2)
        return picture.render(job.parameters)

    with capture_logs() as lines:
        Worker("dev.darkroom.resize.requested", waiting, world.resources).handle(world.event())

    [completed] = [line for line in lines if line["event"] == "job.completed"]
    assert 0 < completed["render_cpu_ms"] < completed["render"]
    assert completed["render"] >= 200


def test_gunicorns_timeout_gives_the_job_back_and_counts_the_attempt(photograph: bytes) -> None:
    world = World(photograph)

    def aborted(job: Job[ResizeParameters], picture: Picture) -> Rendition:
        raise SystemExit(1)

    with pytest.raises(SystemExit):
        Worker("dev.darkroom.resize.requested", aborted, world.resources).handle(world.event())
    record = world.job()
    assert (record.status, record.attempts) == (JobStatus.QUEUED, 1)
    assert record.error is not None
    assert record.error.code == "job.timeout"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"type": "dev.darkroom.crop.requested"}, "this function takes"),
        ({"data": b"{}"}, "job_id"),
        ({"data": None}, "no data"),
        ({"datacontenttype": "text/plain"}, "datacontenttype"),
    ],
)
def test_an_event_that_can_never_be_handled_is_rejected_with_its_reason(changes: dict[str, Any], said: str) -> None:
    world = World()
    answer = world.worker.handle(replace(world.event(), **changes))
    assert isinstance(answer, Done)
    assert answer.reply is not None
    assert answer.reply.type == events.EVENT_REJECTED
    assert said in answer.reply.json()["reason"]
    assert world.job().status is JobStatus.QUEUED


def test_an_event_of_no_known_job_is_rejected() -> None:
    world = World()
    event = world.event()
    world.resources.jobs = MemoryJobStore()
    answer = world.worker.handle(event)
    assert isinstance(answer, Done)
    assert answer.reply is not None
    assert "no such job" in answer.reply.json()["reason"]


def test_a_job_store_that_is_down_means_try_again() -> None:
    world = World()
    event = world.event()

    def refuse(job_id: uuid.UUID, *, worker: str) -> Outcome:
        raise DependencyUnavailableError("jobs", "connection refused", retry_after_s=7)

    world.jobs.claim = refuse  # type: ignore[method-assign, assignment]
    assert world.worker.handle(event) == TryAgain(reason="jobs: connection refused", retry_after_s=7)
