"""Cancelling and erasing through the functions, with fakes for the outside systems."""

from __future__ import annotations

import threading
from collections.abc import Collection
from uuid import UUID, uuid4

import httpx
import pytest

from darkroom.adapters.deadletters import DeadLetter
from darkroom.contract import events
from darkroom.contract.errors import DependencyUnavailableError
from darkroom.contract.jobs import JobStatus, keeper_key
from darkroom.events.cloudevents import new_event
from darkroom.imaging.photograph import make_photograph
from darkroom.serving.answers import Done, TryAgain
from darkroom.serving.testing import HttpClient, MemoryPipeline, deliver
from functions.ingest.app import build as build_ingest
from functions.recovery.app import build as build_recovery
from functions.recovery.recovery import WAKE_UP
from functions.resize.main import resize
from functions.status.app import build as build_status
from tests.contract.job_stores import a_result
from tests.stack import eventually

AGAIN_S = 25.0
UNKNOWN = "7f000000-0000-4000-8000-00000000000a"


class World(MemoryPipeline):
    """ingest, status and recovery around the same jobs and pictures."""

    def __init__(self) -> None:
        super().__init__("resize", settings={"BROKER_WINDOW": "1"})
        self.ingest = HttpClient(build_ingest(self.resources_of("ingest")))
        self.status = HttpClient(build_status(self.resources_of("status")))
        self.recovery = build_recovery(self.resources_of("recovery"))

    def post(self, **more: object) -> UUID:
        self.advance(0.01)
        answer = self.ingest.post(
            "/api/v1/resize", files={"image": ("a.jpg", make_photograph(64, 48))}, data={"width": "32"}, **more
        )
        return UUID(answer.json()["job_id"])

    def cancel(self, job_id: UUID) -> httpx.Response:
        return self.ingest.post(f"/api/v1/jobs/{job_id}/cancel")

    def erase(self, job_id: UUID) -> httpx.Response:
        return self.ingest.call("DELETE", f"/api/v1/jobs/{job_id}")

    def sweep(self) -> object:
        return self.recovery.handle(new_event(WAKE_UP, "/ping", {}))


@pytest.fixture
def world() -> World:
    return World()


def test_a_waiting_job_is_cancelled_and_shown_so(world: World) -> None:
    world.post()
    job_id = world.post()
    answer = world.cancel(job_id)
    assert answer.status_code == 200
    shown = answer.json()
    assert (shown["status"], shown["error"]["code"]) == ("failed", "job.cancelled")
    assert shown == world.status.get(f"/api/v1/jobs/{job_id}").json()
    assert [event.subject for event in world.emitted(events.JOB_FAILED)] == [str(job_id)]


def test_a_cancelled_job_has_no_keeper_to_be_restored_from(world: World) -> None:
    job_id = world.post()
    assert keeper_key(job_id) in world.storage.keys
    assert world.cancel(job_id).status_code == 200
    assert keeper_key(job_id) not in world.storage.keys
    world.storage.put(keeper_key(job_id), b"{}", content_type="application/json")
    assert world.sweep() == Done()
    assert keeper_key(job_id) not in world.storage.keys, "storage may have been away at first"


def test_a_job_that_has_ended_is_not_cancelled(world: World) -> None:
    job_id = world.post()
    world.deliver(resize, job_id)
    answer = world.cancel(job_id)
    assert (answer.status_code, answer.json()["code"]) == (409, "job.final")
    assert "completed" in answer.json()["detail"]
    assert world.record(job_id).status is JobStatus.COMPLETED


def test_the_room_of_a_cancelled_or_erased_job_goes_to_the_next(world: World) -> None:
    first, second, third = (world.post() for _ in range(3))
    emitted = events_of(world)
    assert emitted == [first]
    world.cancel(first)
    eventually_emitted(world, second)
    world.erase(second)
    eventually_emitted(world, third)


def events_of(world: World) -> list[UUID]:
    return [UUID(event.subject) for event in world.emitted("dev.darkroom.resize.requested") if event.subject]


def eventually_emitted(world: World, job_id: UUID) -> None:
    eventually(lambda: job_id in events_of(world), within_s=20, what=f"{job_id} is emitted")


def test_an_erased_job_is_unknown_at_once_and_gone_after_two_sweeps(world: World) -> None:
    job_id = world.post()
    event = world.requested(job_id)
    world.deliver(resize, job_id)
    world.storage.put(keeper_key(job_id), b"{}", content_type="application/json")
    world.storage.put(f"processed/{job_id}/thumb.webp", b"a rendition", content_type="image/webp")
    world.dead_letters.keep(DeadLetter(reason="image.crashed", detail="", event={}, job_id=str(job_id)), key="1")
    other = world.post()

    assert (world.erase(job_id).status_code, world.erase(job_id).status_code) == (204, 204)

    for path in (f"/api/v1/jobs/{job_id}", f"/api/v1/jobs/{job_id}?wait=1", f"/api/v1/jobs/{job_id}/events"):
        answer, unknown = world.status.get(path), world.status.get(path.replace(str(job_id), str(uuid4())))
        assert answer.status_code == 404
        assert answer.json().keys() == unknown.json().keys()
    assert [job["job_id"] for job in world.status.get("/api/v1/jobs").json()["jobs"]] == [str(other)]
    assert keeper_key(job_id) not in world.storage.keys, "a restore after a lost store makes it no more"
    assert deliver(resize.build(world.resources), event).status == 204

    assert world.sweep() == Done()
    assert {key for key in world.storage.keys if str(other) not in key} == set()
    assert f"uploads/{other}/original.jpg" in world.storage.keys
    assert world.dead_letters.list() == []
    world.advance(AGAIN_S)
    assert world.sweep() == Done()
    assert world.jobs.due_erasures(limit=10) == []


def test_what_was_stored_while_it_was_erased_goes_with_the_second_sweep(world: World) -> None:
    job_id = world.post()
    lease = world.claim(job_id)
    world.erase(job_id)
    world.sweep()
    world.storage.put(f"processed/{job_id}.jpg", b"rendered meanwhile", content_type="image/jpeg")
    world.advance(AGAIN_S)
    world.sweep()
    assert not world.storage.keys
    world.storage.put(f"processed/{job_id}.jpg", b"by a worker that was paused", content_type="image/jpeg")
    world.jobs.complete(lease, a_result(lease), {})
    world.sweep()
    assert not world.storage.keys


def test_a_dead_letter_of_an_erased_job_is_not_kept(world: World) -> None:
    job_id = world.post()
    event = world.requested(job_id).with_extensions(knativeerrorcode="503")
    world.erase(job_id)
    assert world.recovery.handle(event) == Done()
    assert world.recovery.handle(events.rejected(event, "a test", source="/darkroom/resize")) == Done()
    assert world.dead_letters.list() == []


@pytest.mark.parametrize("what", ["storage", "dead_letters"])
def test_what_cannot_be_erased_now_is_erased_later(world: World, what: str) -> None:
    job_id = world.post()
    world.dead_letters.keep(DeadLetter(reason="image.crashed", detail="", event={}, job_id=str(job_id)), key="1")
    world.erase(job_id)
    system = getattr(world, what)
    system.is_down = True
    assert isinstance(world.sweep(), TryAgain)
    system.is_down = False
    world.advance(20)
    world.sweep()
    assert not world.storage.keys
    assert world.dead_letters.list() == []


class Record:
    """The record of `darkroom up`, as recovery sees it."""

    def __init__(self) -> None:
        self.is_down = False
        self.forgotten: list[str] = []

    def forget(self, job_ids: Collection[str]) -> None:
        if self.is_down:
            raise DependencyUnavailableError("event record", "a test")
        self.forgotten += job_ids


def test_the_events_of_an_erased_job_are_taken_out_of_the_record_and_those_of_a_cancelled_one_stay(
    world: World,
) -> None:
    record, resources = Record(), world.resources_of("recovery")
    resources.event_records = record
    recovery = build_recovery(resources)
    cancelled, erased = world.post(), world.post()
    world.cancel(cancelled)
    world.erase(erased)
    record.is_down = True
    assert isinstance(recovery.handle(new_event(WAKE_UP, "/ping", {})), TryAgain)
    assert not record.forgotten
    record.is_down = False
    world.advance(20)
    assert recovery.handle(new_event(WAKE_UP, "/ping", {})) == Done()
    assert set(record.forgotten) == {str(erased)}


def test_erasing_goes_on_while_the_broker_is_away(world: World) -> None:
    job_id = world.post()
    world.post()
    world.erase(job_id)
    world.advance(60)
    world.emitter.is_down = True
    assert isinstance(world.sweep(), TryAgain)
    assert f"uploads/{job_id}/original.jpg" not in world.storage.keys


def test_the_keeper_is_erased_by_the_sweep_if_storage_did_not_answer_before(world: World) -> None:
    job_id = world.post()
    world.storage.put(keeper_key(job_id), b"{}", content_type="application/json")
    world.storage.is_down = True
    assert world.erase(job_id).status_code == 204
    world.storage.is_down = False
    world.sweep()
    assert not world.storage.keys


def test_a_stream_of_changes_ends_when_its_job_is_erased(world: World) -> None:
    job_id = world.post()
    threading.Timer(0.3, world.erase, [job_id]).start()
    answer = world.status.get(f"/api/v1/jobs/{job_id}/events")
    assert answer.status_code == 200
    assert "failed" not in answer.text


def test_a_wait_ends_when_its_job_is_erased(world: World) -> None:
    job_id = world.post()
    threading.Timer(0.3, world.erase, [job_id]).start()
    assert world.status.get(f"/api/v1/jobs/{job_id}", params={"wait": "30"}).status_code == 404


@pytest.mark.parametrize("text", ["nothing", UNKNOWN, UNKNOWN.upper()])
def test_what_is_no_job_cannot_be_cancelled_or_erased(world: World, text: str) -> None:
    for answer in (
        world.ingest.call("DELETE", f"/api/v1/jobs/{text}"),
        world.ingest.post(f"/api/v1/jobs/{text}/cancel"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "job.not_found")


def test_a_store_that_is_away_is_told(world: World) -> None:
    class Away:
        def erase(self, job_id: UUID, *, owner: str) -> None:
            raise DependencyUnavailableError("jobs", "a test")

    resources = world.resources_of("ingest")
    resources.jobs = Away()  # type: ignore[assignment]
    answer = HttpClient(build_ingest(resources)).call("DELETE", f"/api/v1/jobs/{uuid4()}")
    assert answer.status_code == 503


def test_methods_are_told_whichever_function_serves_them(world: World) -> None:
    path = f"/api/v1/jobs/{uuid4()}"
    for client in (world.ingest, world.status):
        answer = client.call("PUT", path)
        assert (answer.status_code, answer.headers["allow"]) == (405, "DELETE, GET, HEAD")
    assert world.status.call("DELETE", path).headers["allow"] == "GET, HEAD"
    assert world.status.get(f"{path}/cancel").headers["allow"] == "POST"
    assert world.ingest.post("/api/v1/jobs").headers["allow"] == "GET, HEAD"


def test_pages_of_allowed_origins_may_erase_and_cancel() -> None:
    pipeline = MemoryPipeline("status", settings={"ALLOWED_ORIGINS": "https://shop.example"})
    status = HttpClient(build_status(pipeline.resources))
    for path, method in ((f"/api/v1/jobs/{uuid4()}", "DELETE"), (f"/api/v1/jobs/{uuid4()}/cancel", "POST")):
        asked = {"origin": "https://shop.example", "access-control-request-method": method}
        answer = status.call("OPTIONS", path, headers=asked)
        assert answer.status_code == 204
        assert method in answer.headers["access-control-allow-methods"]
