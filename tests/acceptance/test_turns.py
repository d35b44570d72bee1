"""Lanes as clients meet them: one key's backlog delays no other key, and what waits follows without the sweep."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from darkroom.imaging.photograph import make_photograph
from tests.changed_stack import KeyedStack, changed_stack
from tests.pausing import paused
from tests.stack import RunningStack, eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

WINDOW = 4


@pytest.fixture(scope="module")
def picture() -> bytes:
    return make_photograph(1200, 900)


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedStack]:
    """The sweep comes once a year, so that nothing here is its doing."""
    changes = (
        ("settings.yaml", 'BROKER_WINDOW: "40"', f'BROKER_WINDOW: "{WINDOW}"'),
        ("sweep.yaml", "*/15 * * * * *", "0 0 1 1 *"),
    )
    with changed_stack(tmp_path_factory.mktemp("turns"), *changes) as keyed:
        yield keyed


@pytest.fixture(scope="module")
def stack(keyed: KeyedStack) -> RunningStack:
    return keyed.stack


class Client:
    def __init__(self, stack: RunningStack, key: str, picture: bytes) -> None:
        self._url, self._picture = f"{stack.addresses['api']}/api/v1", picture
        self._http = httpx.Client(headers={"authorization": f"Bearer {key}"}, timeout=60)

    def close(self) -> None:
        self._http.close()

    def submit(self) -> str:
        answer = self._http.post(f"{self._url}/resize?width=1100", content=self._picture, headers=_JPEG)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job_id"])

    def submit_many(self, count: int) -> list[str]:
        with ThreadPoolExecutor(max_workers=8) as threads:
            return list(threads.map(lambda _: self.submit(), range(count)))

    def job(self, job_id: str, wait_s: int = 0) -> dict[str, Any]:
        answer = self._http.get(f"{self._url}/jobs/{job_id}", params={"wait": wait_s})
        assert answer.status_code == 200, answer.text
        job: dict[str, Any] = answer.json()
        return job

    def completed(self, job_id: str) -> dict[str, Any]:
        job = eventually(
            lambda: found if (found := self.job(job_id, wait_s=10))["status"] in {"completed", "failed"} else None,
            within_s=120,
            what=f"{job_id} ends",
        )
        assert (job["status"], job["attempts"]) == ("completed", 1), job
        return job


_JPEG = {"content-type": "image/jpeg"}


@pytest.fixture
def clients(keyed: KeyedStack, picture: bytes) -> Iterator[tuple[Client, Client]]:
    busy, other = (Client(keyed.stack, key, picture) for key in keyed.keys)
    yield busy, other
    busy.close()
    other.close()


def test_one_keys_backlog_delays_another_key_by_a_window_at_most(clients: tuple[Client, Client]) -> None:
    busy, other = clients
    backlog = busy.submit_many(80)
    its_own = other.submit()
    done = other.completed(its_own)
    ends = [busy.completed(job)["finished_at"] for job in backlog]
    between = [end for end in ends if done["created_at"] < end < done["finished_at"]]
    after = [end for end in ends if end > done["finished_at"]]
    assert after, "there was no backlog left that it could have waited for"
    assert len(between) <= 2 * WINDOW, f"it waited for {len(between)} jobs of the other key"


def test_who_waits_is_told_what_for(stack: RunningStack, clients: tuple[Client, Client]) -> None:
    busy, _ = clients
    with paused(stack.server_pid("nats")):
        jobs = busy.submit_many(2 * WINDOW)
        codes = [busy.job(job)["waiting_for"]["code"] for job in jobs]
    assert codes.count("lane") >= WINDOW, codes
    for job in jobs:
        busy.completed(job)


def test_what_was_accepted_while_nats_stood_still_follows_without_the_sweep(
    stack: RunningStack, clients: tuple[Client, Client]
) -> None:
    busy, other = clients
    with paused(stack.server_pid("nats")):
        jobs = [(busy, job) for job in busy.submit_many(20)] + [(other, job) for job in other.submit_many(5)]
    for client, job in jobs:
        client.completed(job)
