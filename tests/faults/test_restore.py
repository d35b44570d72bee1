"""The drill: a job store that is lost with jobs in all states is rebuilt from storage by `darkroom restore`."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from typing import Any

import httpx
import psutil
import pytest

from tests.faults.faulty_stack import FaultyStack
from tests.faults.ledger import Ledger
from tests.faults.orders import SLOW_WIDTH
from tests.faults.restoring import restore
from tests.stack import eventually

COMPLETED_FIRST = 6
UNDER_WAY = 12


def flush(faulty: FaultyStack) -> None:
    with faulty.redis_client() as client:
        client.flushall()


def lose_the_data(faulty: FaultyStack) -> None:
    """Remove Redis' files while it runs, and kill it: the stack starts it again, empty."""
    pid = faulty.stack.server_pid("redis")
    data = faulty.stack.data / "redis"
    assert any(data.iterdir()), "the folder of Redis' files"
    shutil.rmtree(data)
    data.mkdir()
    psutil.Process(pid).send_signal(signal.SIGKILL)
    eventually(lambda: _is_back(faulty, pid), within_s=90, what="Redis runs again")


def _is_back(faulty: FaultyStack, earlier_pid: int) -> bool:
    row = next(row for row in faulty.stack.status()["servers"] if row["name"] == "redis")
    return bool(row["state"] == "up" and row["pid"] != earlier_pid)


@pytest.mark.slow
@pytest.mark.parametrize("lose", [flush, lose_the_data], ids=["flushall", "volume gone"])
def test_everything_that_was_accepted_ends_after_the_job_store_was_lost(
    faulty: FaultyStack, ledger: Ledger, photograph: bytes, lose: Callable[[FaultyStack], None]
) -> None:
    """Fails without the keepers: nothing else says which jobs there were."""
    faulty.slow(3)
    done = [ledger.post("crop", photograph, width=30 + number, height=20) for number in range(COMPLETED_FIRST)]
    broken = ledger.post("resize", _broken(photograph), width=50)
    ended = [answer.job_id for answer in [*done, broken] if answer.job_id is not None]
    eventually(lambda: all(_status(faulty, job_id) in ENDED for job_id in ended), within_s=90, what="the first end")
    before = {answer.job_id: _job(faulty, str(answer.job_id)) for answer in done}
    waiting = [ledger.post("resize", photograph, width=SLOW_WIDTH) for _ in range(UNDER_WAY)]
    eventually(lambda: _any_in_work(faulty), within_s=90, what="some are in work, others wait")

    faulty.slow(0.3)
    lose(faulty)
    assert faulty.record(ended[0]) is None
    newer = ledger.post("crop", photograph, width=99, height=20)
    dry = restore(faulty, "--dry-run")
    report = restore(faulty)

    print(f"{lose.__name__}: dry run {dry}, restored {report}")  # noqa: T201 - the figures, with pytest -rP
    assert dry["completed"] + dry["queued"] == report["completed"] + report["queued"]
    assert report["completed"] >= COMPLETED_FIRST
    assert report["completed"] + report["queued"] + report["exists"] >= len(done) + len(waiting) + 1
    assert report["unreadable"] == 0
    ledger.settle(within_s=150)
    ledger.verdict().assert_nothing_lost_doubled_or_stuck()
    statuses = {str(answer.job_id): _status(faulty, str(answer.job_id)) for answer in [*done, *waiting, newer]}
    assert set(statuses.values()) == {"completed"}, statuses
    if broken.job_id is not None:
        assert _status(faulty, broken.job_id) == "failed"
    for job_id, job in before.items():
        again = _job(faulty, str(job_id))
        assert _lasting(again) == _lasting(job)
    _check_list(faulty, [str(answer.job_id) for answer in [*done, *waiting, newer]])
    _check_repeats(faulty, ledger, photograph, [*done[:2], *waiting[:2]])
    assert restore(faulty)["queued"] == 0
    _check_letters(faulty, [*ended, *(str(answer.job_id) for answer in waiting)])


ENDED = {"completed", "failed"}


def _broken(picture: bytes) -> bytes:
    """A picture whose header is sound and whose pixels are cut off, which ingest does not look at."""
    return picture[: len(picture) * 2 // 3] + b"\xff\xd9"


def _job(faulty: FaultyStack, job_id: str) -> dict[str, Any]:
    job: dict[str, Any] = httpx.get(f"{faulty.stack.addresses['api']}/api/v1/jobs/{job_id}").json()
    return job


def _lasting(job: dict[str, Any]) -> dict[str, Any]:
    """What a restored job has as it was: all but how long which step took."""
    result = {name: job["result"][name] for name in ("storage_key", "content_type", "width", "height", "bytes")}
    return {name: job[name] for name in ("job_id", "type", "status", "request_id", "created_at")} | result


def _status(faulty: FaultyStack, job_id: str) -> str | None:
    record = faulty.record(job_id)
    return None if record is None else record.status


def _any_in_work(faulty: FaultyStack) -> bool:
    store = faulty.store
    try:
        counts = store.backlog().by_status
        return all(counts[status] > 0 for status in counts)
    finally:
        store.close()


def _check_list(faulty: FaultyStack, jobs: list[str]) -> None:
    listed = httpx.get(f"{faulty.stack.addresses['api']}/api/v1/jobs", params={"limit": 100}).json()
    ids = [job["job_id"] for job in listed["jobs"]]
    assert set(jobs) <= set(ids)
    assert len(ids) == len(set(ids))
    created = [job["created_at"] for job in listed["jobs"]]
    assert created == sorted(created, reverse=True)


def _check_repeats(faulty: FaultyStack, ledger: Ledger, photograph: bytes, answers: list[Any]) -> None:
    for answer in answers:
        parameters = faulty.record(answer.job_id)
        assert parameters is not None
        again = ledger.post(parameters.type, photograph, key=answer.key, **parameters.parameters)
        assert again.job_id == answer.job_id


def _check_letters(faulty: FaultyStack, jobs: list[str]) -> None:
    """No letter says of a job that has completed that there is no such job."""
    with faulty.letters() as letters:
        kept = [one.letter for one in letters.list(limit=200)]
    wrong = [letter for letter in kept if letter.job_id in jobs and _status(faulty, letter.job_id) == "completed"]
    assert wrong == []
