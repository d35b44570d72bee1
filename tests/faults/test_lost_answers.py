"""Answers of Redis that never arrive: carried out there, unknown here.

Each test swallows the answers to one command between a worker and a real Redis, and then cuts the connection or keeps
silent until the client gives up. In the end every job is done once, with no attempt that nobody made.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis import Redis
from structlog.testing import capture_logs

from darkroom.adapters.jobs import LEASE_S, MAX_ATTEMPTS, NewJob
from darkroom.adapters.jobs.redis import RedisJobStore
from darkroom.adapters.jobs.redis_scripts import script_text
from darkroom.adapters.storage.memory import MemoryStorage
from darkroom.contract import events
from darkroom.contract.errors import DependencyUnavailableError
from darkroom.contract.jobs import JobRecord, JobStatus, original_key
from darkroom.contract.parameters.resize import ResizeParameters
from darkroom.events.cloudevents import CloudEvent
from darkroom.imaging import Rendition
from darkroom.imaging.photograph import make_photograph
from darkroom.serving.answers import Done
from darkroom.serving.heartbeat import Heartbeat
from darkroom.serving.picture import Picture
from darkroom.serving.resources import Resources
from darkroom.serving.settings import Settings
from darkroom.serving.work import Job, Worker
from tests.contract.job_stores import new_job
from tests.faults.faulty_stack import FaultyStack
from tests.faults.ledger import Ledger
from tests.faults.proxy import AfterLoss, LostAnswers, Proxy
from tests.servers import Server, redis_server, running
from tests.stack import eventually

ANSWER_TIMEOUT_S = 0.25
REDELIVERED_FOR_S = 0.8 * LEASE_S
"""Shorter than a lease: an attempt that nobody takes back cannot be waited out, and fails the test."""
REDELIVERED_AFTER_S = 0.02
WORKERS = 10
FEW = 10

CORRUPT = b"\xff\xd8\xff\xe0 not a picture at all"


@dataclass
class Workers:
    """Workers of the resize event on one side of a proxy, Redis on the other, and a broker that delivers each event
    until it is dealt with."""

    proxy: Proxy
    redis: RedisJobStore
    """Past the proxy."""
    stores: list[RedisJobStore]
    """Each of a worker's own, through the proxy."""
    storage: MemoryStorage
    rendered: list[uuid.UUID] = field(default_factory=list)
    replies: list[CloudEvent] = field(default_factory=list)
    work_s: float = 0.0
    """How long a picture takes at the least."""
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self.workers = [self._worker(store) for store in self.stores]

    def _worker(self, store: RedisJobStore) -> Worker[ResizeParameters]:
        resources = Resources(Settings.load(needs=frozenset(), environment={"K_SERVICE": "resize"}))
        resources.jobs, resources.storage = store, self.storage
        return Worker("dev.darkroom.resize.requested", self._render, resources)

    def _render(self, job: Job[ResizeParameters], picture: Picture) -> Rendition:
        with self._lock:
            self.rendered.append(job.id)
        time.sleep(self.work_s)
        return picture.render(job.parameters)

    def new_job(self, body: bytes, **changes: Any) -> NewJob:
        job_id = uuid.uuid4()
        key = original_key(job_id, "jpg")
        self.storage.put(key, body, content_type="image/jpeg")
        return new_job(job_id=job_id, storage_key=key, parameters={"width": 8}, **changes)

    def accept(self, body: bytes) -> CloudEvent:
        record = self.redis.accept(self.new_job(body)).record
        self.redis.emitted(record.job_id, 1)
        return events.requested(record, source="/darkroom/ingest")

    def lose(self, script: str, event: CloudEvent, *, times: int = 1, then: AfterLoss) -> LostAnswers:
        """The answers to this job's next calls of a script."""
        return self.proxy.lose_answers(sha1_of(script), str(event.subject).encode(), times=times, then=then)

    def deliver_all(self, all_events: list[CloudEvent]) -> None:
        """At once; each to one worker after the other, until one is done with it."""
        with ThreadPoolExecutor(WORKERS) as threads:
            for _ in threads.map(self._deliver, range(len(all_events)), all_events):
                pass

    def _deliver(self, first_worker: int, event: CloudEvent) -> None:
        give_up_at, turn = time.monotonic() + REDELIVERED_FOR_S, first_worker
        while not isinstance(answer := self.workers[turn % len(self.workers)].handle(event), Done):
            assert time.monotonic() < give_up_at, f"{event.subject} is not dealt with: {answer}"
            turn += 1
            time.sleep(REDELIVERED_AFTER_S)
        with self._lock:
            self.replies += [answer.reply] if answer.reply else []

    def record(self, event: CloudEvent) -> JobRecord:
        record = self.redis.get(uuid.UUID(event.subject))
        assert record is not None
        return record

    # --- how it ends

    def assert_all_completed(self, all_events: list[CloudEvent]) -> None:
        """Nothing lost, doubled or stuck, and no attempt that nobody made."""
        self.assert_all_ended(all_events, JobStatus.COMPLETED, events.JOB_COMPLETED)
        for event in all_events:
            record = self.record(event)
            assert record.error is None
            assert record.result is not None
            assert len(self.storage.get(record.result.storage_key, max_bytes=10**6)) == record.result.bytes
        assert sorted(self.rendered) == sorted(uuid.UUID(event.subject) for event in all_events)

    def assert_all_ended(self, all_events: list[CloudEvent], status: JobStatus, event_type: str) -> None:
        self.settle()
        for event in all_events:
            record = self.record(event)
            assert (record.status, record.attempts, record.emissions) == (status, 1, 1), record
            assert not {"image.crashed", "job.timeout"} & {attempt.code for attempt in record.history}, record
        replies = sorted((reply.type, str(reply.subject)) for reply in self.replies)
        assert replies == sorted((event_type, str(event.subject)) for event in all_events), "each end is told once"
        assert sum(self.redis.backlog().by_status.values()) == 0

    def settle(self) -> None:
        eventually(lambda: all(store._settler.is_idle for store in self.stores), within_s=10, what="all is settled")


def sha1_of(script: str) -> bytes:
    """As EVALSHA names it."""
    return hashlib.sha1(script_text(script).encode(), usedforsecurity=False).hexdigest().encode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    # Nothing restarts here; a disk that is busy would only make answers late that are not to be lost.
    with running(redis_server(tmp_path_factory.mktemp("redis"), "--appendonly", "no")) as server:
        yield server


@pytest.fixture(scope="module")
def picture() -> bytes:
    return make_photograph(16, 12)


@pytest.fixture
def workers(server: Server, picture: bytes) -> Iterator[Workers]:
    with Redis.from_url(server.url) as client, ExitStack() as closed:
        client.flushall()
        proxy = closed.enter_context(closing(Proxy(lambda: _address(server.url))))
        redis = closed.enter_context(closing(RedisJobStore(server.url)))
        stores = [RedisJobStore(proxied(proxy), answer_timeout_s=ANSWER_TIMEOUT_S) for _ in range(WORKERS)]
        for store in stores:
            closed.enter_context(closing(store))
        yield Workers(proxy=proxy, redis=redis, stores=stores, storage=MemoryStorage())


def proxied(proxy: Proxy) -> str:
    return f"redis://127.0.0.1:{proxy.port}/0"


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 0


# What is cut is asked for once more within the call, and so are a renewal and an end that are not answered in time: it
# takes two lost answers until these calls fail.
LOSSES = [
    pytest.param(AfterLoss.SILENT, 1, id="silent"),
    pytest.param(AfterLoss.SILENT, 2, id="silent-twice"),
    pytest.param(AfterLoss.CUT, 1, id="cut"),
    pytest.param(AfterLoss.CUT, 2, id="cut-twice"),
]


# --- claims ----------------------------------------------------------------------------------------------------------


def test_a_hundred_claims_whose_answer_was_lost_cost_no_attempt(workers: Workers, picture: bytes) -> None:
    """Held by: the withdrawal (lua/withdraw.lua). Without it each job waits for a lease to run out, which counts."""
    all_events = [workers.accept(picture) for _ in range(100)]
    orders = [workers.lose("claim", event, then=AfterLoss.SILENT) for event in all_events]

    workers.deliver_all(all_events)

    assert [order.lost for order in orders] == [1] * 100
    workers.assert_all_completed(all_events)


@pytest.mark.parametrize(("then", "times"), [*LOSSES, pytest.param(AfterLoss.SILENT, 5, id="silent-five-times")])
def test_claims_are_made_again_until_they_are_heard(
    workers: Workers, picture: bytes, then: AfterLoss, times: int
) -> None:
    all_events = [workers.accept(picture) for _ in range(FEW)]
    orders = [workers.lose("claim", event, times=times, then=then) for event in all_events]

    workers.deliver_all(all_events)

    assert [order.lost for order in orders] == [times] * FEW
    workers.assert_all_completed(all_events)


def test_withdrawals_whose_answer_was_lost_are_repeated(workers: Workers, picture: bytes) -> None:
    all_events = [workers.accept(picture) for _ in range(FEW)]
    for event in all_events:
        workers.lose("claim", event, then=AfterLoss.SILENT)
    orders = [workers.lose("withdraw", event, times=2, then=AfterLoss.SILENT) for event in all_events]

    workers.deliver_all(all_events)

    workers.assert_all_completed(all_events)
    assert [order.lost for order in orders] == [2] * FEW


def test_a_redis_whose_answers_all_come_too_late_costs_no_attempt(workers: Workers, picture: bytes) -> None:
    """Saturated: it carries out everything, and nobody waits long enough to hear of it, nor of a withdrawal."""
    all_events = [workers.accept(picture) for _ in range(FEW)]
    orders = [
        workers.proxy.lose_answers(sha1_of(script), times=10**6, then=AfterLoss.SILENT)
        for script in ("claim", "withdraw")
    ]
    with ThreadPoolExecutor(1) as broker:
        delivering = broker.submit(workers.deliver_all, all_events)
        eventually(
            lambda: all(len(workers.record(event).history) > MAX_ATTEMPTS for event in all_events),
            within_s=REDELIVERED_FOR_S,
            what="each job was claimed more often than it may be tried",
        )
        for order in orders:
            order.times = 0
        delivering.result()

    workers.assert_all_completed(all_events)


def test_one_event_ten_times_at_once_is_done_once_though_the_first_claim_is_lost(
    workers: Workers, picture: bytes
) -> None:
    event = workers.accept(picture)
    order = workers.lose("claim", event, then=AfterLoss.SILENT)

    workers.deliver_all([event] * WORKERS)

    assert order.lost == 1
    workers.assert_all_completed([event])


_CLAIMS = """
import sys, uuid
from darkroom.adapters.jobs.redis import RedisJobStore
from darkroom.telemetry.workers import worker_name
RedisJobStore(sys.argv[1], answer_timeout_s=30).claim(uuid.UUID(sys.argv[2]), worker=worker_name())
"""


def test_a_worker_that_is_killed_before_its_claim_is_answered_has_used_up_one_attempt(
    workers: Workers, picture: bytes
) -> None:
    """Nobody can tell it from one that its picture killed at once. The neighbour finds it gone, and does not wait."""
    event = workers.accept(picture)
    order = workers.lose("claim", event, then=AfterLoss.SILENT)
    process = subprocess.Popen([sys.executable, "-c", _CLAIMS, proxied(workers.proxy), str(event.subject)])
    try:
        eventually(lambda: order.lost, within_s=20, what="the claim is carried out")
    finally:
        process.kill()
        process.wait()

    workers.deliver_all([event])

    record = workers.record(event)
    assert (record.status, record.attempts) == (JobStatus.COMPLETED, 2)
    assert [attempt.code for attempt in record.history] == ["image.crashed", None]


# --- what comes after the claim --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("then", "times"), LOSSES)
def test_a_job_whose_completion_got_no_answer_is_rendered_once_and_reported(
    workers: Workers, picture: bytes, then: AfterLoss, times: int
) -> None:
    """Held by: the completion finds itself; and who was not answered at all knows its own fence in the record."""
    all_events = [workers.accept(picture) for _ in range(FEW)]
    orders = [workers.lose("complete", event, times=times, then=then) for event in all_events]

    with capture_logs() as lines:
        workers.deliver_all(all_events)

    assert [order.lost for order in orders] == [times] * FEW
    assert "job.stale_write_refused" not in {line["event"] for line in lines}
    workers.assert_all_completed(all_events)


@pytest.mark.parametrize(("then", "times"), LOSSES)
def test_a_job_whose_failure_got_no_answer_is_attempted_once_and_reported(
    workers: Workers, then: AfterLoss, times: int
) -> None:
    all_events = [workers.accept(CORRUPT) for _ in range(FEW)]
    orders = [workers.lose("fail", event, times=times, then=then) for event in all_events]

    with capture_logs() as lines:
        workers.deliver_all(all_events)

    assert [order.lost for order in orders] == [times] * FEW
    assert "job.stale_write_refused" not in {line["event"] for line in lines}
    workers.assert_all_ended(all_events, JobStatus.FAILED, events.JOB_FAILED)
    codes = {record.error.code for event in all_events if (record := workers.record(event)).error}
    assert codes <= {"image.corrupt", "image.truncated"}


@pytest.mark.parametrize(("then", "times"), LOSSES)
def test_a_job_whose_release_was_not_heard_loses_no_attempt(
    workers: Workers, picture: bytes, monkeypatch: pytest.MonkeyPatch, then: AfterLoss, times: int
) -> None:
    all_events = [workers.accept(picture) for _ in range(FEW)]
    orders = [workers.lose("release", event, times=times, then=then) for event in all_events]
    fail_once_each(workers.storage, monkeypatch)

    workers.deliver_all(all_events)

    workers.settle()
    assert [order.lost for order in orders] == [times] * FEW
    workers.assert_all_completed(all_events)


def fail_once_each(storage: MemoryStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each picture cannot be fetched the first time."""
    fetch, asked = storage.get, set[str]()

    def get(key: str, *, max_bytes: int) -> bytes:
        if key.startswith("uploads/") and key not in asked:
            asked.add(key)
            raise DependencyUnavailableError("storage", "GetObject was answered 503 SlowDown")
        return fetch(key, max_bytes=max_bytes)

    monkeypatch.setattr(storage, "get", get)


@pytest.mark.parametrize(("then", "times"), LOSSES)
def test_a_lease_whose_renewals_were_not_heard_is_kept(
    workers: Workers, picture: bytes, then: AfterLoss, times: int
) -> None:
    workers.work_s = 3 * ANSWER_TIMEOUT_S
    for worker, store in zip(workers.workers, workers.stores, strict=True):
        worker._heartbeat = Heartbeat(store, every_s=0.05)
    all_events = [workers.accept(picture) for _ in range(FEW)]
    orders = [workers.lose("renew", event, times=times, then=then) for event in all_events]

    with capture_logs() as lines:
        workers.deliver_all(all_events)

    assert [order.lost for order in orders] == [times] * FEW
    assert "lease.lost" not in {line["event"] for line in lines}
    workers.assert_all_completed(all_events)


@pytest.mark.parametrize(("then", "times"), [loss for loss in LOSSES if loss.id != "silent-twice"])
def test_a_job_whose_acceptance_was_not_heard_is_done_once_for_the_client_that_repeats_it(
    workers: Workers, picture: bytes, then: AfterLoss, times: int
) -> None:
    refused = set()

    def post_until_it_is_accepted(number: int) -> CloudEvent:
        first = workers.new_job(picture, idempotency_key=str(number))
        again = workers.new_job(picture, idempotency_key=str(number))
        order = workers.proxy.lose_answers(sha1_of("accept"), str(first.job_id).encode(), times=times, then=then)
        store = workers.stores[number]
        try:
            record = store.accept(first).record
        except DependencyUnavailableError:
            refused.add(first.job_id)
            # Its client comes back once the job is taken back, which takes as long as it may still arrive.
            eventually(lambda: store._settler.is_idle, within_s=10, what="it is taken back")
            record = store.accept(again).record
        assert order.lost == times
        workers.redis.emitted(record.job_id, 1)
        return events.requested(record, source="/darkroom/ingest")

    with ThreadPoolExecutor(FEW) as clients:
        all_events = list(clients.map(post_until_it_is_accepted, range(FEW)))
    workers.deliver_all(all_events)

    workers.assert_all_completed(all_events)
    assert len(refused) == (0 if (then, times) == (AfterLoss.CUT, 1) else FEW)
    assert [workers.redis.get(job_id) for job_id in refused] == [None] * len(refused)


# --- the whole pipeline ----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_pipeline_loses_twenty_claims_and_no_attempt(
    faulty: FaultyStack, ledger: Ledger, photograph: bytes
) -> None:
    order = faulty.redis.lose_answers(sha1_of("claim"), times=20, then=AfterLoss.SILENT)

    job_ids = [ledger.submit("crop", photograph, width=40 + number, height=40) for number in range(20)]

    ledger.settle(within_s=120)
    ledger.verdict().assert_nothing_lost_doubled_or_stuck()
    assert order.lost == 20
    records = [faulty.record(job_id) for job_id in job_ids]
    assert {(record.status, record.attempts) for record in records if record} == {(JobStatus.COMPLETED, 1)}
