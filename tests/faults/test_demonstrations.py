"""The promise in numbers. Each prints its figures (pytest -s, or `make faults`); the faults themselves are explained in
test_failures.py. Without DEMONSTRATION_SHARE=1 a tenth of each is done, to see that they hold.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.faults.deliveries import deliver_again
from tests.faults.faulty_stack import FaultyStack, faulty_stack
from tests.faults.ledger import Ledger, PostRecord, PostResult
from tests.faults.load import Load
from tests.faults.orders import KILLING_WIDTH, SLOW_WIDTH
from tests.faults.proxy import Manner
from tests.faults.test_failures import darkroom, lease_is_over, letter_of, nats_pid, settled
from tests.pausing import paused
from tests.stack import ROOT, eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

SHARE = float(os.environ.get("DEMONSTRATION_SHARE", "0.1"))
AT_ONCE = 4


def tell(text: str) -> None:
    """The figures are wanted as much as the verdict."""
    sys.stdout.write(f"\n{text}\n")


@pytest.fixture
def as_shipped(tmp_path: Path) -> Iterator[FaultyStack]:
    """With the manifests' own timeouts and sweep, and none of the tests' short ones."""
    with faulty_stack(tmp_path) as faulty:
        yield faulty


def test_a_hundred_kills_of_workers_in_mid_render(as_shipped: FaultyStack, photograph: bytes) -> None:
    """From the kill to the completion: under 15 s in the median, under 45 s at most."""
    ledger, took_s = Ledger(as_shipped), []
    as_shipped.slow(1)

    def kill_one(_: int) -> float:
        job_id = ledger.submit("resize", photograph, width=SLOW_WIDTH)
        pid = as_shipped.at_work(job_id, within_s=60)
        psutil.Process(pid).kill()
        killed_at = time.time()
        as_shipped.stack.completed(job_id, within_s=120)
        record = as_shipped.record(job_id)
        assert record is not None
        assert record.finished_at is not None
        assert record.attempts >= 2
        return record.finished_at.timestamp() - killed_at

    with ThreadPoolExecutor(AT_ONCE) as threads:
        took_s = list(threads.map(kill_one, range(round(100 * SHARE))))

    settled(ledger)
    median_s = statistics.median(took_s)
    tell(f"{len(took_s)} workers killed: median {median_s:.1f} s, maximum {max(took_s):.1f} s from the kill to the end")
    assert median_s < 15
    assert max(took_s) < 45


def test_a_hundred_workers_paused_beyond_their_lease_write_nothing_stale(
    as_shipped: FaultyStack, photograph: bytes
) -> None:
    ledger = Ledger(as_shipped)
    refused: list[str] = []

    def pause_some(count: int) -> None:
        as_shipped.slow(1.5)
        job_ids = [ledger.submit("resize", photograph, width=SLOW_WIDTH) for _ in range(count)]
        with ThreadPoolExecutor(count) as threads:
            list(threads.map(pause_one, job_ids))

    def pause_one(job_id: str) -> None:
        pid = as_shipped.at_work(job_id, within_s=90)
        with paused(pid):
            eventually(lambda: lease_is_over(as_shipped, job_id), within_s=30, what="the lease runs out")
            deliver_again(as_shipped, job_id)
            job = as_shipped.stack.completed(job_id, within_s=120)
            before = as_shipped.record(job_id)
        eventually(
            lambda: as_shipped.said("job.stale_write_refused", job_id=job_id) or not psutil.pid_exists(pid),
            within_s=60,
            what="the worker that wakes is refused",
        )
        assert job["attempts"] >= 2
        assert as_shipped.record(job_id) == before, "a stale write"
        if as_shipped.said("job.stale_write_refused", job_id=job_id):
            refused.append(job_id)

    total = round(100 * SHARE)
    while total > 0:
        # A paused worker keeps its place in its instance: as many must be left for those that take over.
        pause_some(min(AT_ONCE, total))
        total -= AT_ONCE

    settled(ledger)
    tell(f"{len(ledger.accepted)} workers paused beyond their lease, {len(refused)} refused on waking; 0 stale writes")


def test_two_hundred_jobs_each_delivered_ten_times_at_once(as_shipped: FaultyStack, photograph: bytes) -> None:
    ledger = Ledger(as_shipped)
    jobs = round(200 * SHARE)

    def deliver(_: int) -> None:
        deliver_again(as_shipped, ledger.submit("resize", photograph, width=120), times=10)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(deliver, range(jobs)))

    settled(ledger)
    claims = [len(as_shipped.said("job.claimed", job_id=job_id)) for job_id in ledger.accepted]
    stored = sum(len(keys) for keys in ledger._stored().values())
    tell(f"{jobs} jobs, {11 * jobs} deliveries: {sum(claims)} claims, {stored} renders stored, none twice")
    assert stored == jobs
    assert set(claims) == {1}


def test_a_picture_that_kills_its_worker_delays_nobody_and_is_redriven(
    as_shipped: FaultyStack, photograph: bytes
) -> None:
    ledger = Ledger(as_shipped)
    waits_s = [_time_one(as_shipped, ledger, photograph) for _ in range(10)]
    with as_shipped.deadly():
        deadly = ledger.submit("resize", photograph, width=KILLING_WIDTH)
        beside_s = []
        while as_shipped.stack.job(deadly)["status"] != "failed":
            beside_s.append(_time_one(as_shipped, ledger, photograph))
        job = as_shipped.stack.job(deadly)
        number = eventually(lambda: letter_of(as_shipped, deadly), within_s=40, what="it is kept")
        assert deadly in darkroom(as_shipped, "deadletters", "list", "--error", "image.crashed")

    assert (job["error"]["code"], job["attempts"]) == ("image.crashed", 3)
    told = darkroom(as_shipped, "deadletters", "redrive", str(number))
    as_shipped.stack.completed(deadly)
    settled(ledger)
    tell(
        f"tried {job['attempts']} times, failed with {job['error']['code']}; {len(beside_s)} neighbours meanwhile: "
        f"median {statistics.median(beside_s):.2f} s, maximum {max(beside_s):.2f} s "
        f"(before: {statistics.median(waits_s):.2f} s); then: {told.strip()}, and it completed"
    )


def _time_one(faulty: FaultyStack, ledger: Ledger, photograph: bytes) -> float:
    began = time.monotonic()
    faulty.stack.completed(ledger.submit("resize", photograph, width=130))
    return time.monotonic() - began


def test_the_broker_is_down_for_a_minute_under_load(as_shipped: FaultyStack, photograph: bytes) -> None:
    """NATS is kept down: each one that the runtime starts is killed again; then it is paused."""
    ledger = Ledger(as_shipped)
    down = threading.Event()
    seconds = 60 * SHARE

    def keep_down() -> None:
        while not down.wait(0.05):
            pid = next(row for row in as_shipped.stack.status()["servers"] if row["name"] == "nats")["pid"]
            if pid is not None and psutil.pid_exists(pid):
                psutil.Process(pid).kill()

    with Load(ledger, photograph, per_second=4, slow_share=0):
        time.sleep(10)
        before = list(ledger.answers)
        killer = threading.Thread(target=keep_down)
        killer.start()
        time.sleep(seconds / 2)
        down.set()
        killer.join()
        eventually(lambda: nats_pid(as_shipped), within_s=60, what="NATS is back")
        with paused(nats_pid(as_shipped) or 0):
            time.sleep(min(seconds / 2, 28))
        during = ledger.answers[len(before) :]

    took_s = ledger.settle(within_s=180)
    ledger.verdict().assert_nothing_lost_doubled_or_stuck()
    tell(
        f"broker up: {_summary(before)}\nbroker down for {seconds:g} s: {_summary(during)}\n"
        f"all {len(ledger.accepted)} jobs ended {took_s:.0f} s after it was back"
    )
    assert {answer.result for answer in during} == {PostResult.ACCEPTED}


def _summary(answers: list[PostRecord]) -> str:
    took_ms = sorted(answer.took_s * 1000 for answer in answers)
    accepted = sum(answer.result is PostResult.ACCEPTED for answer in answers)
    return (
        f"{len(answers)} POSTs, {accepted} answered 202, median {statistics.median(took_ms):.0f} ms, "
        f"95 % {took_ms[int(0.95 * len(took_ms))]:.0f} ms, maximum {took_ms[-1]:.0f} ms"
    )


def test_redis_is_down_and_nothing_is_half_accepted(as_shipped: FaultyStack, photograph: bytes) -> None:
    ledger = Ledger(as_shipped)
    ledger.submit("resize", photograph, width=140)
    for manner in (Manner(cut=True), Manner(silent=True), Manner(swallow_answers_to=b"uploads/")):
        with as_shipped.redis.being(manner), ThreadPoolExecutor(AT_ONCE) as threads:
            list(threads.map(lambda _: ledger.post("resize", photograph, width=141), range(10)))
    with paused(as_shipped.stack.server_pid("redis")), ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(lambda _: ledger.post("resize", photograph, width=142), range(10)))

    refused = ledger.answers[1:]
    eventually(lambda: not ledger.verdict().doubled, within_s=20, what="what was written is taken back")
    settled(ledger)
    tell(f"{len(refused)} POSTs while Redis was away: {len(refused)} answered 503 with Retry-After, 0 half accepted")
    assert {answer.result for answer in refused} == {PostResult.REFUSED}
    assert all(int(answer.retry_after or 0) > 0 for answer in refused)


def test_changing_the_resize_functions_code_under_load_fails_no_job(tmp_path: Path, photograph: bytes) -> None:
    """Watch mode on a copy of the code: a new revision each time the file is saved, the old one drained."""
    code = tmp_path / "code"
    for name in ("darkroom", "functions", "knative", "nats-eventing", "tests"):
        shutil.copytree(ROOT / name, code / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "darkroom.toml", code)
    with faulty_stack(tmp_path / "run", "--watch", fragile=False, cwd=code) as faulty:
        ledger = Ledger(faulty)
        main = code / "functions/resize/main.py"
        changes = max(3, round(10 * SHARE))
        with Load(ledger, photograph, per_second=6, slow_share=0):
            for number in range(changes):
                replaced = len(faulty.stack.events(action="revision.replaced"))
                main.write_text(main.read_text() + f"\n# change {number}\n")
                eventually(
                    lambda before=replaced: len(faulty.stack.events(action="revision.replaced")) > before,  # type: ignore[misc]
                    within_s=60,
                    what="the changed code runs",
                )
                time.sleep(2)
        settled(ledger)
        verdict = ledger.verdict()
        attempts = [faulty.stack.job(job_id)["attempts"] for job_id in ledger.accepted]
        tell(
            f"{changes} new revisions under {len(ledger.answers)} POSTs: {verdict.completed} completed, "
            f"{verdict.failed} failed; {sum(count > 1 for count in attempts)} needed another attempt"
        )
        assert (verdict.failed, len(ledger.accepted)) == (0, len(ledger.answers))
        assert set(attempts) == {1}
