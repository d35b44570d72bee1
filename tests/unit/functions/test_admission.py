"""ingest when there is too much: nothing is stored or written for what is refused, and repeats find their jobs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from darkroom.adapters.jobs import Lease
from darkroom.adapters.storage import MIN_PART_BYTES
from darkroom.contract.api_keys import make_key
from darkroom.contract.errors import ImageCorruptError
from darkroom.imaging.photograph import make_photograph
from darkroom.serving.key_file import write_key_file
from darkroom.serving.testing import HttpClient, MemoryPipeline
from functions.ingest.app import build
from tests.unit.functions.test_large_uploads import LARGE

PICTURE = make_photograph(64, 48)
STORED = "uploads/mine/original"
EVENT = {
    "specversion": "1.0",
    "id": "1",
    "source": "/shop",
    "type": "dev.darkroom.resize.requested",
    "data": {"parameters": {"width": 32}, "input": {"storage_key": STORED}},
}


class Door(HttpClient):
    """ingest with limits, and a picture that is in storage already."""

    def __init__(self, **settings: str) -> None:
        self.pipeline = MemoryPipeline("ingest", settings={"MAX_INPUT_BYTES": str(8 * MIN_PART_BYTES), **settings})
        self.jobs, self.storage = self.pipeline.jobs, self.pipeline.storage
        self.storage.put(STORED, PICTURE, content_type="image/jpeg")
        super().__init__(build(self.pipeline.resources))

    def fill(self, number: int) -> list[UUID]:
        return [self.pipeline.accept() for _ in range(number)]

    def end(self, job_id: UUID) -> None:
        lease = self.jobs.claim(job_id, worker="w")
        assert isinstance(lease, Lease)
        self.jobs.fail(lease, ImageCorruptError("bad"))

    @property
    def left(self) -> tuple[set[str], int, int]:
        """Pictures besides the one that was there, uploads that were neither finished nor dropped, and jobs."""
        jobs = sum(self.jobs.backlog().by_status.values())
        return self.storage.keys - {STORED}, len(self.storage.unfinished), jobs


def raw(door: Door, content: Any = PICTURE, **headers: str) -> httpx.Response:
    headers = {"content-type": "image/jpeg", **headers}
    return door.call("POST", "/api/v1/resize?width=32", content=content, headers=headers)


def form(door: Door) -> httpx.Response:
    return door.call("POST", "/api/v1/resize", files={"image": ("a.jpg", PICTURE)}, data={"width": "32"})


def named(door: Door) -> httpx.Response:
    return door.call("POST", "/api/v1/crop", json={"parameters": {"aspect": "1:1"}, "input": {"storage_key": STORED}})


def event(door: Door, **changes: Any) -> httpx.Response:
    headers = {"content-type": "application/cloudevents+json"}
    return door.call("POST", "/", content=json.dumps({**EVENT, **changes}), headers=headers)


def binary_event(door: Door) -> httpx.Response:
    headers = {f"ce-{name}": str(value) for name, value in EVENT.items() if name != "data"}
    return door.call("POST", "/api/v1/events", content=json.dumps(EVENT["data"]), headers=headers)


def batch(door: Door, number: int = 1) -> httpx.Response:
    headers = {"content-type": "application/cloudevents-batch+json"}
    events = [{**EVENT, "id": f"batch-{at}"} for at in range(number)]
    return door.call("POST", "/", content=json.dumps(events), headers=headers)


def signed(door: Door) -> httpx.Response:
    return door.call("POST", "/api/v1/uploads")


def large(door: Door) -> httpx.Response:
    return raw(door, LARGE)


WAYS = [raw, large, form, named, event, binary_event, batch, signed]


@pytest.mark.parametrize("send", WAYS)
@pytest.mark.parametrize(
    ("setting", "status", "code"),
    [("QUOTA_JOBS_UNFINISHED", 429, "quota.exceeded"), ("MAX_BACKLOG", 503, "backlog.full")],
)
def test_over_a_limit_nothing_is_stored_and_nothing_accepted(
    send: Callable[[Door], httpx.Response], setting: str, status: int, code: str
) -> None:
    door = Door(**{setting: "2"})
    first, _ = door.fill(2)
    refused = send(door)
    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert refused.headers["retry-after"] == "10"
    assert refused.headers["content-type"] == "application/problem+json"
    assert "the limit is 2; none ended in the last minute" in refused.json()["detail"]
    assert door.left == (set(), 0, 2)
    door.end(first)
    assert send(door).status_code in {201, 202}


@pytest.mark.parametrize("send", WAYS)
def test_a_store_that_is_nearly_full_takes_nothing(send: Callable[[Door], httpx.Response]) -> None:
    door = Door()
    door.jobs.max_bytes, door.jobs.used_bytes = 1000, 851
    refused = send(door)
    assert (refused.status_code, refused.json()["code"]) == (503, "backlog.full")
    assert refused.headers["retry-after"] == "60"
    assert "851 of 1000 bytes" in refused.json()["detail"]
    assert door.left == (set(), 0, 0)
    door.jobs.used_bytes = 850
    assert send(door).status_code in {201, 202}


def test_the_body_of_what_is_refused_is_not_read() -> None:
    door = Door(MAX_BACKLOG="1")
    door.fill(1)
    read: list[int] = []

    async def chunks() -> AsyncIterator[bytes]:
        read.append(1)
        yield PICTURE

    assert raw(door, chunks()).json()["code"] == "backlog.full"
    assert read == []


@pytest.mark.parametrize("picture", [PICTURE, LARGE], ids=["small", "large"])
def test_a_limit_that_is_reached_while_the_picture_comes_leaves_nothing(picture: bytes) -> None:
    door = Door(QUOTA_JOBS_UNFINISHED="1")

    async def chunks() -> AsyncIterator[bytes]:
        yield picture[:-1000]
        door.fill(1)
        yield picture[-1000:]

    assert raw(door, chunks()).json()["code"] == "quota.exceeded"
    assert door.left == (set(), 0, 1)


@pytest.mark.parametrize("send", [raw, large, form, named, event, batch])
def test_the_store_decides_and_what_was_stored_by_then_is_deleted(send: Callable[[Door], httpx.Response]) -> None:
    """Two requests may see the last free place; the one that comes second is refused by `accept`."""
    door = Door(QUOTA_JOBS_UNFINISHED="1")
    door.fill(1)
    door.jobs.admission = lambda owner, names: None  # type: ignore[method-assign]
    refused = send(door)
    assert (refused.status_code, refused.json()["code"]) == (429, "quota.exceeded")
    assert door.left == (set(), 0, 1)
    assert door.storage.info(STORED) is not None


def test_a_batch_is_refused_whole_and_before_its_pictures_are_looked_up() -> None:
    door = Door(QUOTA_JOBS_UNFINISHED="3")
    door.fill(1)
    door.storage.is_down = True
    refused = batch(door, 3)
    assert (refused.status_code, refused.json()["code"]) == (429, "quota.exceeded")
    assert "has 1 unfinished jobs and asks for 3 more" in refused.json()["detail"]
    door.storage.is_down = False
    assert door.left == (set(), 0, 1)
    assert batch(door, 2).status_code == 202


@pytest.mark.parametrize(
    "send",
    [lambda door: raw(door, **{"idempotency-key": "k"}), event, lambda door: batch(door, 2)],
    ids=["http", "event", "batch"],
)
def test_a_repeat_of_what_was_accepted_is_answered_over_the_quota(send: Callable[[Door], httpx.Response]) -> None:
    door = Door(QUOTA_JOBS_UNFINISHED="2", MAX_BACKLOG="2")
    first = send(door)
    assert first.status_code == 202
    door.fill(2 - door.left[2])
    stored, _, jobs = door.left
    again = send(door)
    assert (again.status_code, again.json()) == (202, first.json())
    assert door.left == (stored, 0, jobs)
    assert raw(door).status_code == 429


def test_one_keys_quota_is_not_anothers(tmp_path: Path) -> None:
    made = [make_key(name) for name in ("one", "two")]
    write_key_file(tmp_path / "keys.json", [stored for _, stored in made])
    door = Door(API_KEYS="on", API_KEYS_FILE=str(tmp_path / "keys.json"), QUOTA_JOBS_UNFINISHED="1")
    one, two = ({"authorization": f"Bearer {key}"} for key, _ in made)
    assert [raw(door, **key).status_code for key in (one, one, two, two)] == [202, 429, 202, 429]
