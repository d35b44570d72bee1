"""Who may do what in Redis: the shipped rules and start script on a real server, with the adapters as the functions."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

from darkroom.adapters.jobs import KeptJob, Lease, NextStep, Outcome, Restoration
from darkroom.adapters.jobs.admission import BacklogLimits, JobName
from darkroom.adapters.jobs.erasing import Cancelled, Erased
from darkroom.adapters.jobs.notices import RedisJobNotices
from darkroom.adapters.jobs.reading import RedisJobReader
from darkroom.adapters.jobs.redis import RedisJobStore
from darkroom.adapters.jobs.searching import JobSearch
from darkroom.adapters.rates.redis import RedisRateLimiter
from darkroom.contract.errors import (
    BacklogFullError,
    DependencyUnavailableError,
    ImageCrashedError,
    JobTimeoutError,
    QuotaExceededError,
)
from darkroom.contract.jobs import JobResult, JobStatus
from darkroom.contract.metrics import JOBS_ENDED
from darkroom.contract.rates import Rate
from darkroom.local.children.servers import _redis_arguments
from tests.contract.job_stores import a_result, new_job
from tests.servers import redis_server, running

COMPONENT = Path(__file__).parents[2] / "knative" / "components" / "redis"
FUNCTIONS = ("ingest", "status", "resize", "crop", "renditions", "recovery", "notify")
_NOW = datetime.now(UTC)
_RESULT = JobResult(storage_key="processed/1.png", content_type="image/png", width=1, height=1, bytes=1)
USERS = (*FUNCTIONS, "console", "operator", "exporter")


@dataclass(frozen=True, kw_only=True)
class Users:
    address: str

    def url(self, user: str) -> str:
        return f"redis://{user}:{password(user)}@{self.address}"

    def client(self, user: str) -> Redis:
        return Redis.from_url(self.url(user), decode_responses=True)


def password(user: str) -> str:
    return f"the-password-of-{user}"


def put_together(folder: Path, users: tuple[str, ...] = USERS) -> tuple[Path, subprocess.CompletedProcess[str]]:
    digests, output = folder / "digests", folder / "users.acl"
    digests.mkdir(parents=True)
    for user in users:
        (digests / user).write_text(hashlib.sha256(password(user).encode()).hexdigest() + "\n")
    command = ["sh", *map(str, (COMPONENT / "start.sh", COMPONENT / "users.rules", digests, output)), "true"]
    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": os.defpath}, timeout=20)
    return output, done


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Users]:
    folder = tmp_path_factory.mktemp("redis")
    acl, done = put_together(folder)
    assert done.returncode == 0, done.stderr
    server = redis_server(folder / "server", "--aclfile", str(acl))
    # Without a user PING is refused, which is an answer too.
    server.is_ready = lambda: _refuses_strangers(server.url)
    with running(server):
        yield Users(address=server.url.removeprefix("redis://"))


def _refuses_strangers(url: str) -> bool:
    try:
        with Redis.from_url(url) as client:
            client.ping()
    except AuthenticationError:
        return True
    except RedisError:
        return False
    return False


@pytest.fixture
def store(users: Users) -> Iterator[Callable[[str], RedisJobStore]]:
    made: list[RedisJobStore] = []

    def make(user: str) -> RedisJobStore:
        made.append(RedisJobStore(users.url(user), max_attempts=1))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_the_start_script_names_a_user_without_a_digest(tmp_path: Path) -> None:
    _, done = put_together(tmp_path, users=("ingest",))
    assert done.returncode == 1
    assert "status" in done.stderr


def test_every_job_ends_with_each_function_as_its_own_user(store: Callable[[str], RedisJobStore]) -> None:
    ingest, status = store("ingest"), store("status")
    for renderer in (store("resize"), store("crop"), store("renditions")):
        job_id = ingest.accept(new_job(idempotency_key=str(id(renderer)))).record.job_id
        ingest.emitted(job_id, 1)
        lease = renderer.claim(job_id, worker="worker")
        assert isinstance(lease, Lease)
        renderer.renew(lease)
        renderer.release(lease, JobTimeoutError("a test"), counts=False)
        assert isinstance(renderer.claim(job_id, worker="worker", token="t1"), Lease)
        renderer.withdraw(job_id, "t1")
        lease = renderer.claim(job_id, worker="worker")
        assert isinstance(lease, Lease)
        _, record = renderer.complete(lease, a_result(lease), {"render": 1})
        assert record is not None
        assert [job.job_id for job in status.list_jobs("key-1", limit=1).records] == [job_id]
        assert status.backlog().by_status is not None


def test_a_job_is_cancelled_and_erased_with_each_function_as_its_own_user(
    store: Callable[[str], RedisJobStore],
) -> None:
    ingest, recovery = store("ingest"), store("recovery")
    upload = f"uploads/key-1/{uuid.uuid4()}/original"
    for renderer in (store("resize"), store("crop")):
        lease: Any
        job_id = ingest.accept(new_job(storage_key=upload, idempotency_key=uuid.uuid4().hex)).record.job_id
        lease = renderer.claim(job_id, worker="worker")
        assert isinstance(ingest.cancel(job_id, owner="key-1"), Cancelled)
        assert renderer.complete(lease, a_result(lease), {})[0] is Outcome.STALE
        other = ingest.accept(new_job(storage_key=upload)).record.job_id
        lease = renderer.claim(other, worker="worker")
        for each in (job_id, other):
            assert isinstance(ingest.erase(each, owner="key-1"), Erased)
            assert isinstance(renderer.claim(each, worker="worker"), Erased)
        assert renderer.complete(lease, a_result(lease), {}) == (Outcome.STALE, None)
        due = recovery.due_erasures(limit=10)
        assert {erasure.job_id for erasure in due} >= {job_id, other}
        for erasure in due:
            recovery.erasure_done(erasure)
        assert recovery.is_erased(job_id)
        upload = f"uploads/key-1/{uuid.uuid4()}/original"


def test_a_lost_record_is_restored_by_recoverys_user_and_the_operators(store: Callable[[str], RedisJobStore]) -> None:
    for user in ("recovery", "operator"):
        restoring, made = store(user), new_job(idempotency_key=uuid.uuid4().hex)
        done, waiting = KeptJob(new=made, created_at=_NOW, result=_RESULT), KeptJob(new=new_job(), created_at=_NOW)
        assert restoring.without_record([made.job_id]) == {made.job_id}
        assert restoring.restore([done, waiting]) == [Restoration.COMPLETED, Restoration.QUEUED]


def test_ingest_owes_a_keeper_and_recovery_writes_it(store: Callable[[str], RedisJobStore]) -> None:
    ingest, recovery, job_id = store("ingest"), store("recovery"), uuid.uuid4()
    ingest.owe_keeper(job_id, b"{}")
    assert recovery.owed_keepers(limit=5) == {job_id: b"{}"}
    recovery.keeper_written(job_id)


def test_ingest_may_ask_for_room_and_refuse(users: Users) -> None:
    owner = uuid.uuid4().hex
    with closing(RedisJobStore(users.url("ingest"))) as unlimited:
        backlog = sum(unlimited.backlog().by_status.values())
    ingest = RedisJobStore(users.url("ingest"), limits=BacklogLimits(quota=1, max_backlog=backlog + 1))
    with closing(ingest):
        ingest.admission(owner, [JobName(idempotency_key="k")])
        ingest.accept(new_job(owner=owner))
        with pytest.raises(QuotaExceededError):
            ingest.accept(new_job(owner=owner))
        with pytest.raises(BacklogFullError):
            ingest.accept(new_job(owner=uuid.uuid4().hex))


def test_a_job_that_is_given_up_goes_through_recovery_and_a_person(
    users: Users, store: Callable[[str], RedisJobStore]
) -> None:
    ingest, resize, recovery, operator = (store(user) for user in ("ingest", "resize", "recovery", "operator"))
    job_id = ingest.accept(new_job()).record.job_id
    lease = resize.claim(job_id, worker="worker")
    assert isinstance(lease, Lease)
    resize.fail(lease, ImageCrashedError("a test"))
    assert recovery.recover(job_id, ImageCrashedError("a test")).step in NextStep
    recovery.recover_overdue(limit=10, error=ImageCrashedError("a test"))
    recovery.kept(job_id)
    assert recovery.statistics()[JOBS_ENDED]["resize", "standard", "failed", "image.crashed"] == 1
    assert operator.redrive(job_id) is not None


def test_the_console_searches_cancels_erases_and_redrives(store: Callable[[str], RedisJobStore]) -> None:
    ingest, resize, console = store("ingest"), store("resize"), store("console")
    waiting, failed, other = (ingest.accept(new_job(owner="key-of-console")).record.job_id for _ in range(3))
    lease = resize.claim(failed, worker="worker")
    assert isinstance(lease, Lease)
    resize.fail(lease, ImageCrashedError("a test"))
    found = console.search(JobSearch(owner="key-of-console", status=JobStatus.FAILED), limit=10)
    assert [record.job_id for record in found.records] == [failed]
    assert waiting in [record.job_id for record in console.search(JobSearch(), limit=10).records]
    assert console.owed.of_job(failed) == []
    assert console.redrive(failed, parameters={"width": 7}).step in {NextStep.EMIT, NextStep.WAIT}
    console.emitted(failed, 2)
    assert isinstance(console.cancel(waiting, owner="key-of-console"), Cancelled)
    assert isinstance(console.erase(other, owner="key-of-console"), Erased)
    console.next_in_line(limit=1)
    console.unemitted(limit=1)


@pytest.mark.parametrize("user", [*FUNCTIONS, "console"])
def test_each_function_may_ask_what_its_health_needs(store: Callable[[str], RedisJobStore], user: str) -> None:
    store(user).check()


def test_status_reads_waits_and_counts(users: Users, store: Callable[[str], RedisJobStore]) -> None:
    job_id = store("ingest").accept(new_job()).record.job_id

    async def read() -> bool:
        reader, notices, rates = (
            RedisJobReader(users.url("status")),
            RedisJobNotices(users.url("status")),
            RedisRateLimiter(users.url("status")),
        )
        try:
            async with notices.watch(job_id):
                found = await reader.get(job_id)
                verdict = await rates.ask("a-key", Rate(limit=5, period_s=60))
                return found is not None and verdict.admitted
        finally:
            await reader.close()
            await notices.close()
            await rates.close()

    assert asyncio.run(read())


def test_status_changes_no_job(store: Callable[[str], RedisJobStore]) -> None:
    job_id = store("ingest").accept(new_job()).record.job_id
    status = store("status")
    with pytest.raises(DependencyUnavailableError):
        status.accept(new_job())
    with pytest.raises(DependencyUnavailableError):
        status.claim(job_id, worker="status")


TOO_MUCH = {
    "a job's record": ("HSET", "darkroom:job:1", "status", "completed"),
    "a job's end": ("DEL", "darkroom:job:1"),
    "deadlines": ("ZREM", "darkroom:deadlines", "1"),
    "what was given up": ("ZADD", "darkroom:given-up", "1", "1"),
    "an owner's list": ("ZADD", "darkroom:owner:x", "1", "1"),
    "an idempotency key": ("SET", "darkroom:idempotency:x:y", "1"),
    "a rate": ("SET", "darkroom:rate:x", "1"),
    "another's key": ("GET", "something-else"),
    "every key": ("KEYS", "*"),
    "all data": ("FLUSHALL",),
    "the configuration": ("CONFIG", "GET", "*"),
    "the users": ("ACL", "LIST"),
    "a replica": ("REPLICAOF", "127.0.0.1", "1"),
    "the server": ("SHUTDOWN",),
    "everything that is said": ("PSUBSCRIBE", "*"),
    "a lie": ("PUBLISH", "other:channel", "x"),
    "a script's escape": ("EVAL", "return redis.call('FLUSHALL')", "0"),
    "a module": ("MODULE", "LIST"),
    "who is there": ("CLIENT", "LIST"),
    "another's connection": ("CLIENT", "KILL", "ID", "1"),
}
MAY = {
    "ingest": {
        "a job's record",
        "a job's end",
        "deadlines",
        "what was given up",
        "an owner's list",
        "an idempotency key",
        "a rate",
    },
    "status": {"a rate"},
    "resize": {"a job's record", "deadlines", "what was given up"},
    "crop": {"a job's record", "deadlines", "what was given up"},
    "renditions": {"a job's record", "deadlines", "what was given up"},
    "recovery": {"a job's record", "deadlines", "what was given up", "an owner's list", "an idempotency key"},
    "console": {
        "a job's record",
        "a job's end",
        "deadlines",
        "what was given up",
        "an owner's list",
        "an idempotency key",
    },
    "exporter": set(),
}


@pytest.mark.parametrize("user", sorted(MAY))
def test_a_user_is_refused_what_is_not_its_own(users: Users, user: str) -> None:
    with users.client(user) as client:
        assert {what for what, command in TOO_MUCH.items() if not _is_refused(client, *command)} == MAY[user]


def _is_refused(client: Redis, *command: str) -> bool:
    try:
        ask: Any = client.execute_command
        ask(*command)
    except NoPermissionError:
        return True
    except RedisError as exc:
        return "NOPERM" in str(exc) or "ACL failure" in str(exc)
    return False


def test_the_probe_may_only_ask_whether_there_is_an_answer(users: Users) -> None:
    with Redis.from_url(f"redis://probe:none@{users.address}") as client:
        assert client.ping()
        assert _is_refused(client, "GET", "darkroom:job:1")


def test_the_cluster_keeps_jobs_as_the_local_runtime_does() -> None:
    """The settings that decide what survives, and what a job costs."""
    local = _redis_arguments(1, Path("/data"))
    local_settings = dict(zip((name.removeprefix("--") for name in local[::2]), local[1::2], strict=True))
    lines = [line.split(maxsplit=1) for line in (COMPONENT / "redis.conf").read_text().splitlines() if line]
    cluster_settings = {line[0]: line[1].strip('"') for line in lines if line[0] != "#"}
    for name in ("appendonly", "appendfsync", "save", "maxmemory-policy", "hash-max-listpack-value"):
        assert cluster_settings[name] == local_settings[name], name
