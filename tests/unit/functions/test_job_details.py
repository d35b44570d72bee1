"""What a request for one job says beyond lists: what it waits for, its attempts; and records that cannot be read."""

from __future__ import annotations

import uuid
from typing import Any
from uuid import UUID

import pytest

from darkroom.adapters.broker.memory import MemoryEmitter
from darkroom.adapters.jobs import JobReader, NextStep, Recovered
from darkroom.contract.errors import DependencyUnavailableError, ImageCrashedError, JobUnreadableError
from darkroom.contract.job_details import details, waiting_for
from darkroom.contract.jobs import JobRecord
from darkroom.contract.unreadable import UnreadableJob
from darkroom.events.cloudevents import new_event
from darkroom.serving.answers import Done
from darkroom.serving.testing import MemoryPipeline
from functions.ingest.multipart import MultipartForm
from functions.recovery.app import build as build_recovery
from functions.recovery.recovery import WAKE_UP
from tests.contract.job_stores import a_result, new_job
from tests.unit.functions.test_status import Status, sent_events

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
CRASHED = ImageCrashedError("it was killed")


@pytest.fixture
def pipeline() -> MemoryPipeline:
    return MemoryPipeline("status")


def _record(pipeline: MemoryPipeline, job_id: UUID) -> JobRecord:
    record = pipeline.jobs.get(job_id)
    assert record is not None
    return record


def _shown(pipeline: MemoryPipeline, job_id: UUID) -> dict[str, Any]:
    record = _record(pipeline, job_id)
    return details(record, now=_now(pipeline))


def _now(pipeline: MemoryPipeline) -> Any:
    from darkroom.adapters.jobs.memory_job import moment

    return moment(pipeline.jobs._clock())


def _waits_for(pipeline: MemoryPipeline, job_id: UUID) -> tuple[str, str]:
    waiting = waiting_for(_record(pipeline, job_id), now=_now(pipeline))
    assert waiting is not None
    return waiting["code"], waiting["since"]


def test_a_job_waits_for_the_broker_then_for_a_function_then_for_its_attempt(pipeline: MemoryPipeline) -> None:
    job_id = pipeline.jobs.accept(new_job(owner="")).record.job_id
    accepted = _record(pipeline, job_id).view()["created_at"]
    assert _waits_for(pipeline, job_id) == ("broker", accepted)

    pipeline.jobs.emitted(job_id, 1)
    assert _waits_for(pipeline, job_id) == ("function", accepted)

    pipeline.advance(2)
    lease = pipeline.claim(job_id)
    assert _waits_for(pipeline, job_id) == ("attempt", _record(pipeline, job_id).view()["started_at"])

    pipeline.jobs.complete(lease, a_result(lease), {})
    assert waiting_for(_record(pipeline, job_id), now=_now(pipeline)) is None
    assert "waiting_for" not in _shown(pipeline, job_id)


def test_after_an_attempt_that_ended_without_a_result_it_waits_for_the_next(pipeline: MemoryPipeline) -> None:
    job_id = pipeline.jobs.accept(new_job(owner="")).record.job_id
    pipeline.jobs.emitted(job_id, 1)
    lease = pipeline.claim(job_id, worker="resize-1")
    pipeline.advance(3)
    pipeline.jobs.release(lease, DependencyUnavailableError("storage", "is down"), counts=False)

    shown = _shown(pipeline, job_id)

    assert shown["waiting_for"]["code"] == "retry"
    assert "dependency.unavailable" in shown["waiting_for"]["sentence"]
    [attempt] = shown["attempts_log"]
    assert shown["waiting_for"]["since"] == attempt["ended"]
    assert (attempt["attempt"], attempt["instance"], attempt["code"]) == (1, "resize-1", "dependency.unavailable")


def test_when_its_instance_is_silent_it_waits_for_the_lease(pipeline: MemoryPipeline) -> None:
    job_id = pipeline.jobs.accept(new_job(owner="")).record.job_id
    pipeline.claim(job_id, worker="resize-1")
    pipeline.advance(60)
    assert _waits_for(pipeline, job_id)[0] == "lease"


def test_the_parameters_the_cost_class_and_the_trace_are_shown(pipeline: MemoryPipeline) -> None:
    made = new_job(owner="", cost_class="heavy", trace=TRACE, parameters={"width": 7})
    job_id = pipeline.jobs.accept(made).record.job_id
    shown = _shown(pipeline, job_id)
    assert (shown["parameters"], shown["cost_class"]) == ({"width": 7}, "heavy")
    assert shown["trace_id"] == "0af7651916cd43dd8448eb211c80319c"


def test_the_api_shows_it_for_one_job_and_not_in_lists() -> None:
    status = Status()
    job_id = status.accept()
    one = status.get(f"/api/v1/jobs/{job_id}").json()
    assert {"parameters", "cost_class", "waiting_for", "attempts_log"} <= set(one)
    [listed] = status.get("/api/v1/jobs").json()["jobs"]
    assert not {"parameters", "cost_class", "waiting_for", "attempts_log"} & set(listed)
    status.complete(job_id)
    one = status.get(f"/api/v1/jobs/{job_id}").json()
    assert "waiting_for" not in one
    assert [attempt["code"] for attempt in one["attempts_log"]] == [None]
    assert one["attempts_log"][0]["ended"]


# --- records that cannot be read -------------------------------------------------------------------------------------


class _Reader(JobReader):
    """Reads every job but one, whose record becomes unreadable after a number of reads."""

    def __init__(self, inner: JobReader, job_id: UUID, *, after: int = 0, owner: str = "") -> None:
        self._inner, self._job_id, self._reads_left, self._owner = inner, job_id, after, owner

    async def get(self, job_id: UUID) -> JobRecord | None:
        if job_id == self._job_id:
            self._reads_left -= 1
            if self._reads_left < 0:
                raise JobUnreadableError(
                    UnreadableJob(job_id=job_id, owner=self._owner, type="hologram", reason="its type is 'hologram'")
                )
        return await self._inner.get(job_id)

    async def close(self) -> None:
        await self._inner.close()


def _status_that_cannot_read(*, after: int = 0, owner: str = "") -> tuple[Status, UUID]:
    status = Status()
    job_id = status.accept()
    resources = status.pipeline.resources
    resources.job_reader = _Reader(resources.job_reader, job_id, after=after, owner=owner)
    return status, job_id


@pytest.mark.parametrize("query", ["", "?wait=30"])
def test_a_job_that_cannot_be_read_is_shown_as_such_at_once(query: str) -> None:
    status, job_id = _status_that_cannot_read()
    answer = status.get(f"/api/v1/jobs/{job_id}{query}")
    assert answer.status_code == 200
    shown = answer.json()
    assert (shown["job_id"], shown["status"], shown["type"]) == (str(job_id), "unreadable", "hologram")
    assert shown["error"]["code"] == "job.unreadable"
    assert "hologram" in shown["error"]["message"]


def test_a_wait_in_which_it_becomes_unreadable_is_answered() -> None:
    # The first read finds it; the one after the wait has begun does not.
    status, job_id = _status_that_cannot_read(after=1)
    assert status.get(f"/api/v1/jobs/{job_id}?wait=30").json()["status"] == "unreadable"


@pytest.mark.parametrize("after", [0, 1])
def test_its_events_end_with_what_is_known(after: int) -> None:
    status, job_id = _status_that_cannot_read(after=after)
    answer = status.get(f"/api/v1/jobs/{job_id}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert [name for name, _ in sent_events(answer)] == ["unreadable"]


@pytest.mark.parametrize("suffix", ["", "?wait=30", "/events"])
def test_to_another_key_it_does_not_exist(suffix: str) -> None:
    status, job_id = _status_that_cannot_read(owner="somebody")
    assert status.get(f"/api/v1/jobs/{job_id}{suffix}").status_code == 404


def test_a_sweep_does_its_work_for_the_jobs_that_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = MemoryPipeline("recovery")
    recovery = build_recovery(pipeline.resources)
    sound, odd = pipeline.accept(), UnreadableJob(job_id=uuid.uuid4(), owner="", type="hologram", reason="its type")
    pipeline.advance(3600)
    swept = pipeline.jobs.recover_overdue(limit=10, error=CRASHED)
    assert [one.step for one in swept] == [NextStep.EMIT]
    both = [Recovered(step=NextStep.NOTHING, unreadable=odd), *swept]
    monkeypatch.setattr(pipeline.jobs, "recover_overdue", lambda **_: both)

    assert recovery.handle(new_event(WAKE_UP, "/ping", {})) == Done()

    assert isinstance(pipeline.emitter, MemoryEmitter)
    assert [event.subject for event in pipeline.emitter.events] == [str(sound)]


def test_the_dead_letter_of_a_job_that_cannot_be_read_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = MemoryPipeline("recovery")
    recovery = build_recovery(pipeline.resources)
    job_id = pipeline.accept()
    odd = UnreadableJob(job_id=job_id, owner="", type="hologram", reason="its type")

    def recover(*_: object, **__: object) -> Recovered:
        raise JobUnreadableError(odd)

    monkeypatch.setattr(pipeline.jobs, "recover", recover)
    assert recovery.handle(pipeline.requested(job_id)) == Done()
    [kept] = pipeline.dead_letters.list()
    assert "another version" in kept.letter.detail


# --- a picture in the wrong part -------------------------------------------------------------------------------------


def _form_error(head: bytes, body: bytes) -> str:
    from darkroom.contract.errors import ParametersInvalidError

    form = MultipartForm("multipart/form-data; boundary=x", max_image_bytes=10_000)
    with pytest.raises(ParametersInvalidError) as caught:
        form.feed(b"--x\r\ncontent-disposition: form-data; " + head + b"\r\n\r\n" + body + b"\r\n--x--\r\n")
    return caught.value.detail


@pytest.mark.parametrize("body", [b"x" * 5000, b"\xff\xd8\xff"])
def test_a_file_in_another_part_is_told_how_the_pictures_part_is_named(body: bytes) -> None:
    detail = _form_error(b'name="picture"; filename="cat.jpg"', body)
    assert detail.startswith("picture: is a file that ")
    assert detail.endswith("the picture's part is named 'image': -F image=@FILE")


def test_a_long_field_that_is_no_file_is_told_its_limit_alone() -> None:
    assert _form_error(b'name="width"', b"1" * 5000) == "width: has more than 4096 bytes"
