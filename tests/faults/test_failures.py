"""One test for each failure that must be survived (docs/reliability.md, "Failures, and what survives them").

Each names the protection without which it fails; each was seen to fail with that protection taken out. In the end the
client's ledger is held against the records, the storage and the dead letters: nothing lost, doubled or stuck.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import psutil
import pytest

from darkroom.adapters.broker.http import HttpEmitter
from darkroom.contract.errors import DependencyUnavailableError
from tests.faults.deliveries import at_once, broker_url, deliver_again, event_of
from tests.faults.faulty_stack import BUCKET, FaultyStack
from tests.faults.ledger import Ledger, PostResult
from tests.faults.orders import HANGING_WIDTH, KILLING_WIDTH, SLOW_WIDTH
from tests.faults.proxy import Manner, Proxy
from tests.faults.streams import delete_streams, full_stream
from tests.pausing import paused
from tests.stack import ROOT, eventually

# What quick runs have of it: tests/acceptance/test_kills.py, tests/faults/test_lost_answers.py and the contract suites.
pytestmark = pytest.mark.slow

SETTLED_WITHIN_S = 90


def settled(ledger: Ledger) -> None:
    ledger.settle(within_s=SETTLED_WITHIN_S)
    ledger.verdict().assert_nothing_lost_doubled_or_stuck()


def kill_ingest(faulty: FaultyStack) -> None:
    for instance in faulty.instances("ingest"):
        instance.kill()


def front_door_is_back(faulty: FaultyStack) -> None:
    eventually(lambda: faulty.stack.function("ingest")["ready"] > 0, within_s=30, what="ingest is back")


def request_is_at_redis(proxy: Proxy, since: int) -> None:
    eventually(lambda: proxy.swallowed > since, within_s=20, what="the accept's answer is swallowed")


# --- 1 to 4: accepting -----------------------------------------------------------------------------------------------


def test_1_ingest_dies_between_the_picture_and_the_job(faulty: FaultyStack, ledger: Ledger, photograph: bytes) -> None:
    """Held by: the original is stored before the job is written, so that no job can be without its picture; and by the
    lifecycle rule, which expires the upload that no job follows."""
    with faulty.storage() as storage:
        storage.prepare()
    with faulty.s3_client() as s3:
        rules = s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    before = uploads(faulty)
    # The request that would write the job is held back; what is asked before, whether there is room, is answered.
    with faulty.redis.being(Manner(hold_back=b"uploads/")), ThreadPoolExecutor(1) as thread:
        posted = thread.submit(ledger.post, "resize", photograph, width=100)
        eventually(lambda: uploads(faulty) - before, within_s=20, what="the picture is stored")
        kill_ingest(faulty)
        answer = posted.result()
    assert answer.result is PostResult.UNKNOWN

    front_door_is_back(faulty)
    assert answer.request_id not in {job["request_id"] for job in ledger._jobs().values()}, "an upload without a job"
    assert any(_prefix(dict(rule)) == "uploads/" and "Expiration" in rule for rule in rules)
    settled(ledger)


def _prefix(rule: Mapping[str, object]) -> object:
    found = rule.get("Filter", rule)
    return found.get("Prefix") if isinstance(found, dict) else None


def uploads(faulty: FaultyStack) -> set[str]:
    return {key.rpartition("/")[0] for key in faulty.stored("uploads/")}


def test_2_ingest_dies_between_the_job_and_its_event(faulty: FaultyStack, ledger: Ledger, photograph: bytes) -> None:
    """Held by: the outbox (the job's record holds the event) and the sweep that emits it."""
    ledger.submit("resize", photograph, width=101)  # from now on Redis knows the script, and needs no second round
    swallowed = faulty.redis.swallowed
    with faulty.redis.being(Manner(swallow_answers_to=b"uploads/")), ThreadPoolExecutor(1) as thread:
        posted = thread.submit(ledger.post, "resize", photograph, width=101)
        request_is_at_redis(faulty.redis, swallowed)
        kill_ingest(faulty)
        answer = posted.result()

    assert answer.result is PostResult.UNKNOWN
    (job_id,) = eventually(
        lambda: [job_id for job_id, job in ledger._jobs().items() if job["request_id"] == answer.request_id],
        within_s=10,
        what="Redis has the job",
    )
    assert faulty.stack.completed(job_id, within_s=SETTLED_WITHIN_S)["status"] == "completed"
    front_door_is_back(faulty)
    settled(ledger)


def test_3_the_broker_took_the_event_and_its_answer_was_lost(
    faulty: FaultyStack, ledger: Ledger, photograph: bytes
) -> None:
    """Held by: the same event id is sent again, which the stream keeps once. Without it the claim still lets one
    delivery do the job; the count of dropped duplicates is what fails then."""
    parts = urlsplit(broker_url(faulty))
    proxy = Proxy(lambda: (parts.hostname or "", parts.port or 0))
    emitter = HttpEmitter(broker_url(faulty).replace(f":{parts.port}", f":{proxy.port}"), attempt_timeout_s=0.2)
    faulty.slow(1)
    job_id = ledger.submit("resize", photograph, width=SLOW_WIDTH)
    event = event_of(faulty, job_id)
    since = faulty.stack.now()
    try:
        with proxy.being(Manner(swallow_answers_to=b"POST")), pytest.raises(DependencyUnavailableError):
            emitter.emit(event)
        emitter = HttpEmitter(broker_url(faulty))
        emitter.emit(event)
    finally:
        emitter.close()
        proxy.close()

    dropped = faulty.stack.events(since=since, action="event.duplicate_dropped")
    assert len([one for one in dropped if one["id"] == event.id]) >= 3
    job = faulty.stack.completed(job_id)
    assert job["attempts"] == 1
    settled(ledger)


def test_4_the_client_repeats_its_post(faulty: FaultyStack, ledger: Ledger, photograph: bytes) -> None:
    """Held by: the Idempotency-Key, bound to the job in the step that writes it."""
    answers = at_once([lambda: ledger.post("resize", photograph, key="the-same", width=103) for _ in range(10)])

    assert {answer.result for answer in answers} == {PostResult.ACCEPTED}
    assert len(ledger.accepted) == 1
    assert ledger.post("resize", photograph, key="the-same", width=104).status == 422
    settled(ledger)


# --- 5 to 8: workers -------------------------------------------------------------------------------------------------


def test_5_a_worker_is_killed_in_mid_job(faulty: FaultyStack, ledger: Ledger, photograph: bytes) -> None:
    """Held by: a redelivery that finds the lease of a dead neighbour and gives it back; the lease's end otherwise."""
    faulty.slow(2)
    job_id = ledger.submit("resize", photograph, width=SLOW_WIDTH)
    psutil.Process(faulty.at_work(job_id)).kill()

    job = faulty.stack.completed(job_id)

    assert job["attempts"] == 2
    assert faulty.said("worker.gone", job_id=job_id), "a neighbour saw that it was dead, and did not wait for its lease"
    record = faulty.record(job_id)
    assert record is not None
    assert [attempt.code for attempt in record.history] == ["image.crashed", None]
    settled(ledger)


def test_5_a_whole_instance_is_killed_in_mid_job(faulty: FaultyStack, ledger: Ledger, photograph: bytes) -> None:
    """Held by: the redelivery that the broken connection brings about, on another instance, which finds a dead
    neighbour; were it not for that, by the lease's end, and were it not for that either, by the sweep."""
    faulty.slow(2)
    job_ids = [ledger.submit("resize", photograph, width=SLOW_WIDTH) for _ in range(2)]
    for job_id in job_ids:
        faulty.at_work(job_id)
    for instance in faulty.instances("resize"):
        instance.kill()

    for job_id in job_ids:
        assert faulty.stack.completed(job_id)["attempts"] == 2
    settled(ledger)


def test_6_a_worker_is_paused_beyond_its_lease_and_wakes(
    faulty: FaultyStack, ledger: Ledger, photograph: bytes
) -> None:
    """Held by: the fencing number. The one that wakes is refused, and what the other one wrote stays. gunicorn's master
    is paused too: it would kill the worker before it wakes."""
    faulty.slow(3)
    job_id = ledger.submit("resize", photograph, width=SLOW_WIDTH)
    pid = faulty.at_work(job_id)
    with paused(psutil.Process(pid).ppid()):
        with paused(pid):
            eventually(lambda: lease_is_over(faulty, job_id), within_s=20, what="the lease runs out")
            faulty.slow(0)
            deliver_again(faulty, job_id)
            job = faulty.stack.completed(job_id)
        eventually(
            lambda: faulty.said("job.stale_write_refused", job_id=job_id),
            within_s=30,
            what="the worker that wakes is refused",
        )

    assert job["attempts"] == 2
    assert without_url(faulty.stack.job(job_id)) == without_url(job)
    settled(ledger)


def lease_is_over(faulty: FaultyStack, job_id: str) -> bool:
    record = faulty.record(job_id)
    return record is None or record.lease_until is None or record.lease_until.timestamp() < time.time()


def without_url(job: dict[str, object]) -> dict[str, object]:
    result = job["result"]
    assert isinstance(result, dict)
    return {**job, "result": {name: value for name, value in result.items() if name not in {"url", "expires_at"}}}


def test_7_the_same_event_ten_times_at_once(faulty: FaultyStack, ledger: Ledger, photograph: bytes) -> None:
    """Held by: one claim wins; the others find the job held, or final."""
    faulty.slow(0.3)
    for _ in range(5):
        deliver_again(faulty, ledger.submit("resize", photograph, width=SLOW_WIDTH), times=10)

    ledger.settle(within_s=SETTLED_WITHIN_S)
    for job_id in ledger.accepted:
        assert len(faulty.said("job.claimed", job_id=job_id)) == 1
    settled(ledger)


def test_8_a_picture_that_kills_its_worker(faulty: FaultyStack, ledger: Ledger, photograph: bytes) -> None:
    """Held by: the attempt is counted before anything is decoded, and the last one fails the job, which is kept with
    the dead letters until a person redrives it; its neighbours have processes of their own."""
    with faulty.deadly():
        deadly = ledger.submit("resize", photograph, width=KILLING_WIDTH)
        neighbours = [ledger.submit("resize", photograph, width=108) for _ in range(5)]
        job = faulty.stack.ended(deadly, within_s=SETTLED_WITHIN_S)
        for job_id in neighbours:
            faulty.stack.completed(job_id)
        assert (job["status"], job["error"]["code"], job["attempts"]) == ("failed", "image.crashed", 3)
        number = eventually(lambda: letter_of(faulty, deadly), within_s=30, what="it is kept")
        settled(ledger)

    assert f"job {deadly} is queued again" in darkroom(faulty, "deadletters", "redrive", str(number))
    again = faulty.stack.completed(deadly)
    assert letter_of(faulty, deadly) is None
    assert again["job_id"] == deadly
    settled(ledger)


def test_8_a_picture_that_hangs_its_worker(faulty: FaultyStack, ledger: Ledger, photograph: bytes) -> None:
    """Held by: gunicorn's timeout, which kills the process, since nothing stops libvips from within."""
    with faulty.deadly():
        job_id = ledger.submit("resize", photograph, width=HANGING_WIDTH)
        job = faulty.stack.ended(job_id, within_s=SETTLED_WITHIN_S)

    assert (job["status"], job["error"]["code"], job["attempts"]) == ("failed", "job.timeout", 3)
    eventually(lambda: letter_of(faulty, job_id), within_s=30, what="it is kept")
    settled(ledger)


def letter_of(faulty: FaultyStack, job_id: str) -> int | None:
    from tests.faults.ledger import _all

    with faulty.letters() as letters:
        return next((kept.sequence for kept in _all(letters) if kept.letter.job_id == job_id), None)


def darkroom(faulty: FaultyStack, *arguments: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", "darkroom.cli", *arguments, "--data", str(faulty.stack.data)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


# --- 9 to 14: dependencies -------------------------------------------------------------------------------------------


@pytest.mark.timeout(300)
def test_9_the_dead_letter_sink_is_down_when_the_retries_are_spent(
    faulty: FaultyStack, ledger: Ledger, photograph: bytes
) -> None:
    """Held by: the sweep. The broker drops what neither the function nor the dead-letter sink takes."""
    faulty.slow(2)
    job_id = ledger.submit("resize", photograph, width=SLOW_WIDTH)
    faulty.at_work(job_id)
    since = faulty.stack.now()
    with faulty.redis.being(Manner(cut=True)):
        eventually(
            lambda: faulty.stack.events(since=since, action="event.lost"),
            within_s=60,
            what="the broker gives the event up, and the dead-letter sink does not take it",
        )

    assert faulty.stack.completed(job_id, within_s=150)["status"] == "completed"
    settled(ledger)


def test_10_redis_does_not_answer_and_nothing_is_accepted(
    faulty: FaultyStack, ledger: Ledger, photograph: bytes
) -> None:
    """Held by: a job is promised only when Redis has it; an accept that comes too late is void, and one whose answer
    was lost is taken back. Without these two a refused POST leaves a job behind."""
    ledger.submit("resize", photograph, width=110)  # from now on Redis knows the script, and needs no second round
    swallowed = faulty.redis.swallowed
    with faulty.redis.being(Manner(cut=True)):
        refused = [ledger.post("resize", photograph, width=110) for _ in range(3)]
    with faulty.redis.being(Manner(swallow_answers_to=b"uploads/")):
        refused.append(ledger.post("resize", photograph, width=110))
    assert faulty.redis.swallowed > swallowed
    with paused(faulty.stack.server_pid("redis")):
        refused += at_once([lambda: ledger.post("resize", photograph, width=110) for _ in range(3)])

    assert {answer.result for answer in refused} == {PostResult.REFUSED}
    assert all(int(answer.retry_after or 0) > 0 for answer in refused)
    ledger.insist("resize", photograph, width=111)
    eventually(lambda: not ledger.verdict().doubled, within_s=10, what="what was written is taken back")
    settled(ledger)


def test_10_a_full_redis_accepts_nothing_and_lets_the_others_end(
    faulty: FaultyStack, ledger: Ledger, photograph: bytes
) -> None:
    """Held by: the scripts that bring jobs to their end may use memory beyond the limit (allow-oom), accept may not."""
    faulty.slow(2)
    job_id = ledger.submit("resize", photograph, width=SLOW_WIDTH)
    with faulty.redis_client() as client:
        client.config_set("maxmemory", "1")
        try:
            answer = ledger.post("resize", photograph, width=112)
            assert (answer.result, int(answer.retry_after or 0) > 0) == (PostResult.REFUSED, True)
            faulty.stack.completed(job_id)
        finally:
            client.config_set("maxmemory", "0")
    settled(ledger)


def test_10_redis_is_killed_and_has_every_job_that_it_accepted(
    faulty: FaultyStack, ledger: Ledger, photograph: bytes
) -> None:
    """Held by: append-only persistence, written before Redis answers."""
    faulty.slow(1)
    for _ in range(5):
        ledger.submit("resize", photograph, width=SLOW_WIDTH)
    psutil.Process(faulty.stack.server_pid("redis")).kill()
    for _ in range(3):
        ledger.insist("crop", photograph, width=50, height=50, x=1, y=1)
    settled(ledger)
    assert len(ledger.accepted) == 8


def test_11_storage_breaks_off_in_mid_put_and_answers_503(
    faulty: FaultyStack, ledger: Ledger, photograph: bytes
) -> None:
    """Held by: one retry at once, then the job is given back without its attempt being counted, and delivered again."""
    faulty.slow(1.5)
    job_ids = [ledger.submit("resize", photograph, width=SLOW_WIDTH, format="png") for _ in range(2)]
    for job_id in job_ids:
        faulty.at_work(job_id)
    with faulty.s3.being(Manner(cut_after_bytes=100_000)):
        eventually(lambda: faulty.said("job.released"), within_s=20, what="a PUT breaks off in the middle")
    with faulty.s3.being(Manner(answer_503=True)):
        assert ledger.post("resize", photograph, width=113).result is PostResult.REFUSED
    with faulty.s3.being(Manner(delay_s=0.3)):
        ledger.submit("resize", photograph, width=114)

    for job_id in job_ids:
        assert faulty.stack.completed(job_id)["attempts"] == 1, "storage's failure is not the picture's"
    settled(ledger)


def test_12_nats_is_killed_and_paused(faulty: FaultyStack, ledger: Ledger, photograph: bytes) -> None:
    """Held by: accepted jobs wait in the outbox; the emission has a short deadline and a circuit."""
    psutil.Process(faulty.stack.server_pid("nats")).kill()
    answers = [ledger.post("resize", photograph, width=115) for _ in range(3)]
    eventually(lambda: nats_pid(faulty), within_s=30, what="NATS is started again")
    with paused(faulty.stack.server_pid("nats")):
        answers += [ledger.post("resize", photograph, width=115) for _ in range(6)]

    assert {answer.result for answer in answers} == {PostResult.ACCEPTED}
    settled(ledger)


def nats_pid(faulty: FaultyStack) -> int | None:
    row = next(row for row in faulty.stack.status()["servers"] if row["name"] == "nats")
    return row["pid"] if row["state"] == "up" else None


@pytest.mark.timeout(300)
def test_12_the_disk_of_nats_is_full(faulty: FaultyStack, ledger: Ledger, photograph: bytes) -> None:
    """Held by: the outbox while it is full, and by the health check, which restarts a NATS that stays stuck afterwards.
    Files that may not grow any more are the full disk."""
    pid = nats_pid(faulty)
    assert pid is not None
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    answers = [ledger.post("resize", photograph, width=116) for _ in range(5)]
    if psutil.pid_exists(pid):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)

    assert {answer.result for answer in answers} == {PostResult.ACCEPTED}
    eventually(lambda: nats_pid(faulty) not in {pid, None}, within_s=90, what="the stuck NATS is restarted")
    settled(ledger)


@pytest.mark.timeout(300)
def test_12_nats_has_lost_all_its_data(faulty: FaultyStack, ledger: Ledger, photograph: bytes) -> None:
    """Held by: streams and consumers are made again, and the sweep emits what was in them."""
    faulty.slow(3)
    job_ids = [ledger.submit("resize", photograph, width=SLOW_WIDTH) for _ in range(6)]
    delete_streams(faulty)
    psutil.Process(faulty.stack.server_pid("nats")).kill()

    eventually(lambda: nats_pid(faulty), within_s=30, what="NATS is started again")
    for job_id in job_ids:
        faulty.stack.completed(job_id, within_s=150)
    with faulty.letters() as letters:
        letters.check()
    settled(ledger)


def test_13_the_stream_is_full(faulty: FaultyStack, ledger: Ledger, photograph: bytes) -> None:
    """Held by: a full stream refuses what is new (discard: New), the outbox holds it, and the ingress says so."""
    since = faulty.stack.now()
    with full_stream(faulty):
        answers = [ledger.post("crop", photograph, width=60, height=60, x=0, y=0) for _ in range(3)]
        eventually(
            lambda: faulty.stack.events(since=since, action="event.not_stored"), within_s=20, what="the ingress says so"
        )

    assert {answer.result for answer in answers} == {PostResult.ACCEPTED}
    settled(ledger)


def test_14_the_reply_is_lost(faulty: FaultyStack, ledger: Ledger, photograph: bytes) -> None:
    """Held by: the job's end stands in its record before the reply is sent; the delivery that is repeated because of
    the reply finds it final and answers 204."""
    faulty.slow(1)
    job_id = ledger.submit("resize", photograph, width=SLOW_WIDTH)
    faulty.at_work(job_id)
    since = faulty.stack.now()
    with full_stream(faulty):
        faulty.stack.completed(job_id)
        eventually(
            lambda: faulty.stack.events(since=since, action="reply.not_published"),
            within_s=20,
            what="the reply is lost",
        )

    eventually(lambda: faulty.said("delivery.duplicate", job_id=job_id), within_s=30, what="the repeated delivery ends")
    assert len(faulty.said("job.claimed", job_id=job_id)) == 1
    settled(ledger)


def test_15_the_supervisor_is_killed(faulty: FaultyStack, ledger: Ledger, photograph: bytes) -> None:
    """Held by: the kernel ends every child with its parent, and the data folder has all that the next start needs."""
    faulty.slow(1)
    for _ in range(6):
        ledger.submit("resize", photograph, width=SLOW_WIDTH)
    children = faulty.stack.descendants()

    faulty.stack.kill()

    eventually(lambda: not any(runs(child) for child in children), within_s=10, what="every child is gone")
    faulty.stack.start()
    front_door_is_back(faulty)
    settled(ledger)


def runs(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
