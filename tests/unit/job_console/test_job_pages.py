"""The list of jobs, one job, and what may be done to it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from darkroom.adapters.jobs.keeper import decode_keeper
from darkroom.contract.errors import (
    DarkroomError,
    DependencyUnavailableError,
    ImageTooManyPixelsError,
    JobCancelledError,
)
from darkroom.contract.jobs import JobResult, JobStatus, keeper_key
from darkroom.imaging.photograph import make_photograph
from tests.console_actions import first_update
from tests.unit.job_console.conftest import PICTURE, Console

FIRST, SECOND = UUID("0badcafe-0000-4000-8000-000000000001"), UUID("7c4f7e60-0000-4000-8000-000000000002")


def shown(page: str, jobs: Sequence[UUID]) -> list[UUID]:
    return [job for job in jobs if f"/console/jobs/{job}" in page]


def test_the_list_has_the_jobs_of_all_keys(console: Console) -> None:
    jobs = [console.pipeline.accept(owner=owner) for owner in ("", "key-1")]
    page = console.text("/jobs")
    assert shown(page, jobs) == jobs
    assert "key-1" in page
    assert "There are no jobs yet" not in page


def test_an_empty_list_says_so(console: Console) -> None:
    assert "There are no jobs yet" in console.text("/jobs")
    assert "No job is so" in console.text("/jobs", status="failed")


SEARCHES: list[tuple[dict[str, str], list[UUID]]] = [
    ({"id": "0bad"}, [FIRST]),
    ({"id": "0badcafe0000"}, [FIRST]),
    ({"id": "0bad-cafe"}, [FIRST]),
    ({"id": str(SECOND).upper()}, [SECOND]),
    ({"status": "failed"}, [SECOND]),
    ({"status": "queued"}, [FIRST]),
    ({"type": "crop"}, []),
    ({"error": "image.corrupt"}, [SECOND]),
    ({"key": "-"}, [FIRST]),
    ({"key": "key-1"}, [SECOND]),
    ({"newer": "10s"}, [SECOND]),
    ({"older": "10s"}, [FIRST]),
]


def test_a_search_narrows_the_list(console: Console) -> None:
    console.pipeline.advance(-20)
    console.pipeline.accept(job_id=FIRST)
    console.pipeline.advance(20)
    console.failed(job_id=SECOND, owner="key-1")
    for query, found in SEARCHES:
        assert shown(console.text("/jobs", **query), [FIRST, SECOND]) == found, query


@pytest.mark.parametrize(
    ("field", "value", "mistake"),
    [
        ("id", "xyz", "must be a job's id or its beginning"),
        ("status", "paused", "must be one of queued"),
        ("type", "rotate", "must be one of resize"),
        ("newer", "soon", "Newer than"),
        ("older", "999999999h", "from 0 s to 10 years"),
    ],
)
def test_a_mistake_in_the_search_is_named_beside_its_field(
    console: Console, field: str, value: str, mistake: str
) -> None:
    page = console.text("/jobs", **{field: value})
    assert mistake in page
    assert value in page


def test_older_jobs_are_a_link_away(console: Console) -> None:
    jobs = [console.pipeline.accept() for _ in range(60)]
    first = console.text("/jobs")
    assert len(shown(first, jobs)) == 50
    link = first.partition('rel="next" href="')[2].partition('"')[0]
    second = console.text(f"/jobs{link}")
    assert set(shown(first, jobs)) | set(shown(second, jobs)) == set(jobs)


def test_a_job_says_what_it_waits_for_and_all_that_was_asked(console: Console) -> None:
    job_id = console.pipeline.accept({"width": 320, "format": "webp"}, picture=PICTURE, cost_class="heavy")
    page = console.text(f"/jobs/{job_id}")
    assert 'data-waits-for="broker"' in page
    assert "the Broker has not taken its event yet" in page
    assert '"format": "webp"' in page
    assert "heavy" in page
    assert "job.claimed" in page, "its log lines"
    assert f'data-stream="/console/jobs/{job_id}/stream"' in page


def test_a_job_that_ended_before_the_page_opened_its_stream_is_shown_as_ended(console: Console) -> None:
    job_id = console.pipeline.accept(picture=PICTURE)
    assert "data-stream" in console.text(f"/jobs/{job_id}")
    console.pipeline.jobs.fail(console.pipeline.claim(job_id), ImageTooManyPixelsError("as a test wanted"))
    update = first_update(console.application, f"/console/jobs/{job_id}/stream")
    assert update["region"] == "job-state"
    assert "image.too_many_pixels" in update["html"]


def test_a_completed_job_shows_both_pictures_and_its_steps(console: Console) -> None:
    job_id = console.pipeline.accept(picture=PICTURE)
    lease, body = console.pipeline.claim(job_id), make_photograph(32, 24)
    key = f"processed/{job_id}.jpg"
    console.pipeline.storage.put(key, body, content_type="image/jpeg")
    result = JobResult(storage_key=key, content_type="image/jpeg", width=32, height=24, bytes=len(body))
    console.pipeline.jobs.complete(lease, result, {"fetch": 5, "render": 61, "store": 7})
    page = console.text(f"/jobs/{job_id}")
    assert page.count("<img ") == 2
    assert "32 × 24" in page
    assert "render: 61 ms" in page
    assert "data-stream" not in page, "nothing changes any more"


def test_pictures_come_from_where_the_page_allows_them(console: Console) -> None:
    job_id = console.pipeline.accept(picture=PICTURE)
    answer = console.get(f"/jobs/{job_id}")
    url = answer.text.partition('<img src="')[2].partition('"')[0]
    origin = "/".join(url.split("/")[:3])
    policy = answer.headers["content-security-policy"]
    assert f"img-src 'self' data: {origin};" in policy
    assert "script-src 'self'" in policy


def test_a_picture_that_is_gone_is_said(console: Console) -> None:
    page = console.text(f"/jobs/{console.pipeline.accept()}")
    assert "It is no longer in storage." in page
    console.pipeline.storage.is_down = True
    assert "The storage does not answer" in console.text(f"/jobs/{console.pipeline.accept()}")


@pytest.mark.parametrize("job_id", ["7c4f7e60", "0badcafe-0000-4000-8000-000000000009"])
def test_an_unknown_job_is_a_sentence(console: Console, job_id: str) -> None:
    answer = console.get(f"/jobs/{job_id}")
    assert answer.status_code == 404
    assert "job.not_found" in answer.text


def test_a_store_that_is_away_is_a_sentence(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_arguments: object, **_named: object) -> None:
        raise DependencyUnavailableError("jobs", "connection refused")

    monkeypatch.setattr(console.pipeline.jobs, "search", away)
    answer = console.get("/jobs")
    assert answer.status_code == 503
    assert "connection refused" in answer.text


# --- actions ---------------------------------------------------------------------------------------------------------


def test_a_job_is_cancelled_for_its_own_key(console: Console) -> None:
    job_id = console.pipeline.accept(owner="key-1")
    answer = console.post(f"/jobs/{job_id}/cancel")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/console/jobs/{job_id}")
    record = console.pipeline.record(job_id)
    assert record.error is not None
    assert record.error.code == JobCancelledError.code
    entry = console.latest()
    assert (entry.who, entry.action, entry.target, entry.outcome) == ("local", "job: cancel", str(job_id), "done")
    assert entry.details["key"] == "key-1"
    assert "cannot be done again" in console.text(f"/jobs/{job_id}")


def test_a_final_job_is_not_cancelled(console: Console) -> None:
    job_id = console.failed()
    answer = console.post(f"/jobs/{job_id}/cancel")
    assert answer.status_code == 409
    assert "job.final" in answer.text
    assert console.latest().outcome == "refused"


def test_an_erased_job_is_unknown(console: Console) -> None:
    job_id = console.failed()
    assert console.post(f"/jobs/{job_id}/erase").headers["location"] == "/console/jobs"
    assert console.pipeline.jobs.get(job_id) is None
    assert console.pipeline.jobs.is_erased(job_id)
    assert console.latest().action == "job: erase"


def test_a_failed_job_is_done_again_with_changed_parameters(console: Console) -> None:
    job_id = console.failed(ImageTooManyPixelsError("too many"), parameters={"width": 8000, "format": "png"})
    console.give_up(job_id)
    answer = console.post(f"/jobs/{job_id}/retry", {"parameters": '{"width": 800}'})
    assert answer.status_code == 303, answer.text
    record = console.pipeline.record(job_id)
    assert (record.status, record.parameters, record.redrives) == (JobStatus.QUEUED, {"width": 800}, 1)
    assert console.pipeline.dead_letters.list() == [], "its letter is dropped"
    keeper = decode_keeper(console.pipeline.storage.get(keeper_key(job_id), max_bytes=10_000), job_id)
    assert keeper.job.parameters == {"width": 800}
    assert console.latest().details["changes"] == {"width": "800", "format": ""}
    assert console.pipeline.emitter.events[-1].subject == str(job_id)


def test_of_several_renditions_only_what_is_changed_is_made_again(console: Console) -> None:
    renditions = {
        "small": {"type": "resize", "parameters": {"width": 32}},
        "large": {"type": "resize", "parameters": {"width": 64}},
    }
    job_id = console.failed(type="renditions", parameters={"renditions": renditions})
    changed = {"renditions": {**renditions, "large": {"type": "resize", "parameters": {"width": 60}}}}
    assert console.post(f"/jobs/{job_id}/retry", {"parameters": json.dumps(changed)}).status_code == 303
    asked = console.pipeline.record(job_id).parameters["renditions"]
    assert {name: one["parameters"] for name, one in asked.items()} == {"small": {"width": 32}, "large": {"width": 60}}
    assert console.latest().details["changes"] == {"large.width": "60"}


@pytest.mark.parametrize(
    ("text", "status", "says"),
    [
        ("{", 400, "must be JSON"),
        ("[]", 400, "must be a JSON object"),
        ('{"width": 0}', 400, "width"),
        ('{"width": 10, "colour": "red"}', 400, "colour"),
    ],
)
def test_parameters_that_no_job_may_have_are_refused(console: Console, text: str, status: int, says: str) -> None:
    job_id = console.failed()
    answer = console.post(f"/jobs/{job_id}/retry", {"parameters": text})
    assert answer.status_code == status
    assert says in answer.text
    assert console.pipeline.record(job_id).status is JobStatus.FAILED
    assert console.latest().outcome == "refused"


def test_a_job_that_is_under_way_is_not_done_again(console: Console) -> None:
    job_id = console.pipeline.accept()
    answer = console.post(f"/jobs/{job_id}/retry", {"parameters": "{}"})
    assert answer.status_code == 409
    assert "the job is queued" in answer.text.lower()


def test_renditions_cannot_become_others(console: Console) -> None:
    parameters = {"renditions": {"small": {"type": "resize", "parameters": {"width": 32}}}}
    job_id = console.failed(type="renditions", parameters=parameters)
    others: list[dict[str, Any]] = [{"renditions": {}}, {"renditions": {"small": {"type": "crop", "parameters": {}}}}]
    for changed in others:
        assert console.post(f"/jobs/{job_id}/retry", {"parameters": json.dumps(changed)}).status_code == 400


def test_what_a_job_holds_is_shown_as_text(console: Console) -> None:
    class HostileError(DarkroomError):
        code = "image.corrupt"

    job_id = console.failed(HostileError("<script>alert(1)</script>"))
    for path in (f"/jobs/{job_id}", "/jobs"):
        assert "<script>alert" not in console.get(f"{path}").text
