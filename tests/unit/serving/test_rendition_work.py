"""One delivery of a job with several results: what is stored, what stands after a failure, what a retry makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest

from darkroom.adapters.jobs import Outcome
from darkroom.adapters.storage.memory import MemoryStorage
from darkroom.contract.errors import DependencyUnavailableError
from darkroom.contract.jobs import JobRecord, JobResult, JobStatus
from darkroom.imaging.photograph import make_photograph
from darkroom.serving.testing import MemoryPipeline
from functions.renditions.main import renditions

PICTURE = make_photograph(320, 240)
FIVE = {
    **{f"w{width}": {"type": "resize", "parameters": {"width": width}} for width in (160, 80, 40, 20)},
    "square": {"type": "resize", "parameters": {"width": 30, "height": 30, "fit": "cover"}},
}
IMPOSSIBLE = {"type": "resize", "parameters": {"width": 300, "format": "jpeg", "max_bytes": 100}}


class CountingStorage(MemoryStorage):
    """Counts what is stored and fetched, and fails from the given PUT of a result on."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.puts: list[str] = []
        self.gets: list[str] = []
        self.fails_at: int | None = None

    def get(self, key: str, *, max_bytes: int) -> bytes:
        self.gets.append(key)
        return super().get(key, max_bytes=max_bytes)

    def put(self, key: str, body: bytes, *, content_type: str, metadata: Mapping[str, str] | None = None) -> None:
        if key.startswith("processed/"):
            if self.fails_at is not None and len(self.puts) >= self.fails_at:
                raise DependencyUnavailableError("storage", "PutObject was answered 503")
            self.puts.append(key)
        super().put(key, body, content_type=content_type, metadata=metadata)


class World(MemoryPipeline):
    def __init__(self) -> None:
        super().__init__("renditions")
        self.counting = CountingStorage(clock=self.now_s)
        self.storage = self.resources.storage = self.counting

    def asked(self, asked: dict[str, Any]) -> UUID:
        return self.accept({"renditions": asked}, type="renditions", picture=PICTURE)

    def done(self, job_id: UUID) -> JobRecord:
        self.deliver(renditions, job_id)
        return self.record(job_id)


@pytest.fixture
def world() -> World:
    return World()


def test_five_renditions_are_one_get_and_five_puts(world: World) -> None:
    job_id = world.asked(FIVE)
    record = world.done(job_id)
    assert record.status is JobStatus.COMPLETED
    assert record.result is None
    sizes = {name: (made.width, made.height) for name, made in record.made.items() if isinstance(made, JobResult)}
    assert sizes == {"w160": (160, 120), "w80": (80, 60), "w40": (40, 30), "w20": (20, 15), "square": (30, 30)}
    assert world.counting.gets == [f"uploads/{job_id}/original.jpg"]
    assert sorted(world.counting.puts) == sorted(f"processed/{job_id}/{name}.jpg" for name in FIVE)
    assert {"fetch", "render", "store"} <= record.timings_ms.keys()


def test_one_that_cannot_be_made_fails_the_job_and_the_others_stand(world: World) -> None:
    job_id = world.asked({**FIVE, "hero": IMPOSSIBLE})
    record = world.done(job_id)
    assert record.status is JobStatus.FAILED
    assert record.error is not None
    assert record.error.code == "rendition.failed"
    assert record.error.message.startswith("1 of 6 renditions cannot be made: hero: result.too_large: ")
    assert sorted(name for name, made in record.made.items() if isinstance(made, JobResult)) == sorted(FIVE)
    assert len(world.counting.puts) == 5


def test_a_redrive_with_corrected_parameters_makes_one(world: World) -> None:
    job_id = world.asked({**FIVE, "hero": IMPOSSIBLE})
    world.done(job_id)
    corrected = {**FIVE, "hero": {"type": "resize", "parameters": {"width": 300}}}
    world.jobs.redrive(job_id, parameters={"renditions": corrected})
    world.counting.puts.clear()
    record = world.done(job_id)
    assert record.status is JobStatus.COMPLETED
    assert world.counting.puts == [f"processed/{job_id}/hero.jpg"]


def test_a_storage_that_fails_between_the_third_and_the_fourth_costs_two_puts_more(world: World) -> None:
    job_id = world.asked(FIVE)
    world.counting.fails_at = 3
    assert world.deliver(renditions, job_id).status == 503
    assert len(world.record(job_id).made) == 3
    world.counting.fails_at = None
    record = world.done(job_id)
    assert record.status is JobStatus.COMPLETED
    assert len(world.counting.puts) == 5
    assert len(set(world.counting.puts)) == 5


def test_a_retry_with_nothing_left_completes_without_fetching(world: World) -> None:
    job_id = world.asked(FIVE)
    lease = world.claim(job_id)
    for name in FIVE:
        made = JobResult(
            storage_key=f"processed/{job_id}/{name}.jpg", content_type="image/jpeg", width=1, height=1, bytes=1
        )
        assert world.jobs.rendered(lease, name, made) is Outcome.DONE
    world.jobs.release(lease, DependencyUnavailableError("storage", "503"), counts=False)
    assert world.done(job_id).status is JobStatus.COMPLETED
    assert world.counting.gets == []


def test_an_overlay_that_is_gone_fails_the_renditions_that_need_it(world: World) -> None:
    marked = {"type": "resize", "parameters": {"width": 50, "overlay": {"storage_key": "uploads/mark/original"}}}
    job_id = world.asked({"plain": FIVE["w40"], "marked": marked})
    record = world.done(job_id)
    shown = record.view()["results"]
    assert shown["plain"]["status"] == "completed"
    assert shown["marked"]["error"]["code"] == "input.not_found"
    assert shown["marked"]["error"]["message"].startswith("the overlay: ")


def test_a_picture_that_is_gone_fails_all(world: World) -> None:
    job_id = world.accept({"renditions": FIVE}, type="renditions")
    record = world.done(job_id)
    assert {one["status"] for one in record.view()["results"].values()} == {"failed"}
    assert record.error is not None
    assert record.error.code == "input.not_found"


def test_a_worker_that_lost_its_lease_stops_at_the_next_rendition(world: World) -> None:
    job_id = world.asked(FIVE)
    put = world.counting.put

    def put_and_lose(key: str, body: bytes, **options: Any) -> None:
        put(key, body, **options)
        if len(world.counting.puts) == 2:
            world.advance(60)
            world.claim(job_id)

    world.counting.put = put_and_lose  # type: ignore[method-assign]
    world.deliver(renditions, job_id)
    assert len(world.record(job_id).made) == 1
    assert len(world.counting.puts) == 2
