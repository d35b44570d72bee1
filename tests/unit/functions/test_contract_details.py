"""Small things of the contract that a careful client relies on: what is given twice, is no JSON, or is echoed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from darkroom.contract.api_keys import make_key
from darkroom.contract.errors import ImageCorruptError
from darkroom.contract.openapi import openapi
from darkroom.events.cloudevents import encode_binary, parse_one
from darkroom.imaging.photograph import make_photograph
from darkroom.serving.key_file import write_key_file
from darkroom.serving.testing import HttpClient, MemoryPipeline, post
from functions.crop.main import crop
from functions.ingest import app as ingest_app
from functions.status import app as status_app
from tests.stack import eventually
from tests.unit.functions.ingesting import Ingest

PICTURE = make_photograph(64, 48)
STORED = "uploads/mine/original"


def strict(answer: httpx.Response) -> Any:
    """The answer as JSON, without Python's leniency."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON number: {answer.text}")

    return json.loads(answer.content, parse_constant=refuse)


# --- numbers that are none -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1e999999", "9" * 400 + ".0", "NaN", "Infinity", "1" * 5000])
@pytest.mark.parametrize("form", ["json", "event", "batch", "binary"])
def test_a_number_beyond_all_numbers_is_answered_in_json(ingest: Ingest, number: str, form: str) -> None:
    data = f'{{"parameters": {{"width": {number}}}, "input": {{"storage_key": "{STORED}"}}}}'
    event = f'{{"specversion":"1.0","id":"1","source":"/s","type":"dev.darkroom.resize.requested","data":{data}}}'
    attributes = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "dev.darkroom.resize.requested"}
    path, body, headers = {
        "json": ("/api/v1/resize", data, {"content-type": "application/json"}),
        "event": ("/", event, {"content-type": "application/cloudevents+json"}),
        "batch": ("/", f"[{event}]", {"content-type": "application/cloudevents-batch+json"}),
        "binary": ("/", data, {"content-type": "application/json", **attributes}),
    }[form]
    answer = ingest.post(path, content=body, headers=headers)
    assert answer.status_code == 400
    assert strict(answer)["code"] in {"parameters.invalid", "event.invalid"}
    assert len(answer.content) < 5000


@pytest.mark.parametrize("value", ["1e400", "NaN", "Infinity", "inf", "-inf"])
def test_text_that_is_no_number_is_answered_in_json(ingest: Ingest, value: str) -> None:
    for answer in (
        ingest.resize(fields={"width": "32", "sharpen": value}),
        ingest.post(f"/api/v1/resize?width=32&dpr={value}", content=PICTURE, headers={"content-type": "image/jpeg"}),
    ):
        assert answer.status_code == 400
        assert strict(answer)["code"] == "parameters.invalid"


# --- given twice -----------------------------------------------------------------------------------------------------


def test_two_idempotency_keys_are_refused(ingest: Ingest) -> None:
    headers = [("content-type", "image/jpeg"), ("idempotency-key", "a"), ("Idempotency-Key", "a")]
    answer = ingest.post("/api/v1/resize?width=8", content=PICTURE, headers=headers)
    assert answer.status_code == 400
    assert ingest.is_untouched()


@pytest.mark.parametrize(
    "gravity", ['{"x":0.1,"x":0.2,"y":0.5}', '{"x":0.1,"y":0.5,"y":0.5}', '{"x":NaN,"y":0.5}', '{"x":1e400,"y":0.5}']
)
def test_a_member_twice_in_nested_json_is_refused(ingest: Ingest, gravity: str) -> None:
    form = {"width": "32", "height": "32", "fit": "cover", "gravity": gravity}
    answers = [ingest.resize(fields=form)]
    document = f'{{"parameters": {{"width": 8, "gravity": {gravity}}}, "input": {{"storage_key": "{STORED}"}}}}'
    answers.append(ingest.post("/api/v1/resize", content=document, headers={"content-type": "application/json"}))
    for answer in answers:
        assert answer.status_code == 400
        assert strict(answer)["code"] == "parameters.invalid"
    assert ingest.is_untouched()


# --- echoes ----------------------------------------------------------------------------------------------------------


def test_long_names_and_values_come_back_short(ingest: Ingest) -> None:
    ingest.storage.put(STORED, PICTURE, content_type="image/jpeg")
    name = "n" * 50_000
    document = {"parameters": {"width": 8, name: 1}, "input": {"storage_key": STORED}}
    event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "dev.darkroom.resize.requested", "data": document}
    structured = {"content-type": "application/cloudevents+json"}
    long_source = {**event, "source": f"/ {name}"}
    for answer in (
        ingest.post("/api/v1/resize", json=document),
        ingest.post("/api/v1/resize", json={"parameters": {"width": 8}, "input": {"storage_key": STORED}, name: 1}),
        ingest.post("/", content=json.dumps(event), headers=structured),
        ingest.post("/", content=json.dumps(long_source), headers=structured),
        ingest.post("/", content=json.dumps({**event, "type": name}), headers=structured),
        ingest.post("/", content=json.dumps({**event, "time": name}), headers=structured),
        ingest.post("/", content=json.dumps({**event, "data": {name: 1}}), headers=structured),
    ):
        assert answer.status_code == 400
        assert len(answer.content) < 10_000, answer.text[:300]


# --- paths and what the framework answers ----------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["%0a", "%0d%0a", "%0a/events", "%00", "/events%0a"])
def test_a_line_break_is_no_part_of_a_path(ending: str) -> None:
    pipeline = MemoryPipeline("status")
    job_id = pipeline.accept(picture=PICTURE)
    pipeline.jobs.fail(pipeline.claim(job_id), ImageCorruptError("it is"))
    client = HttpClient(status_app.build(pipeline.resources))
    assert client.get(f"/api/v1/jobs/{job_id}").status_code == 200
    answer = client.get(f"/api/v1/jobs/{job_id}{ending}")
    assert answer.status_code == 404
    assert strict(answer)["code"] in {"job.not_found", "route.not_found"}
    assert client.get(f"/api/v1/jobs{ending}").status_code == 404


@pytest.mark.parametrize(("method", "path", "code"), [("TRACE", "/api/v1/resize", "method.not_allowed")])
def test_what_the_framework_answers_is_a_problem_document_too(
    ingest: Ingest, method: str, path: str, code: str
) -> None:
    answer = ingest.call(method, path)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert strict(answer)["code"] == code
    assert "POST" in answer.headers["allow"]


def test_every_code_that_a_client_may_see_is_described() -> None:
    codes = set(openapi()["components"]["schemas"]["Problem"]["properties"]["code"]["enum"])
    gateways = {"instance.broken", "revision.failing", "revision.overloaded", "revision.timeout", "route.timeout"}
    assert (
        gateways | {"request.timeout", "signature.invalid", "input.exists", "host.refused", "origin.refused"} <= codes
    )
    show = openapi()["paths"]["/api/v1/jobs/{job_id}"]["get"]["responses"]
    assert {"502", "503", "504"} <= show.keys()


# --- ids of others ---------------------------------------------------------------------------------------------------


class TwoKeys:
    def __init__(self, folder: Path) -> None:
        (self.ours, our_key), (self.theirs, their_key) = make_key("ours"), make_key("theirs")
        write_key_file(folder / "keys.json", [our_key, their_key])
        self.ids = {self.ours: our_key.id, self.theirs: their_key.id}
        settings = {"API_KEYS": "on", "API_KEYS_FILE": str(folder / "keys.json")}
        self.pipeline = MemoryPipeline("ingest", settings=settings)
        self._client = HttpClient(ingest_app.build(self.pipeline.resources))
        self._sent = 0

    def send(self, key: str, job_id: UUID | str, *, width: int = 8, batch: bool = False) -> httpx.Response:
        storage_key = f"uploads/{self.ids[key]}/a/original"
        self.pipeline.storage.put(storage_key, PICTURE, content_type="image/jpeg")
        self._sent += 1
        data = {"job_id": str(job_id), "parameters": {"width": width}, "input": {"storage_key": storage_key}}
        kind = "dev.darkroom.resize.requested"
        event: Any = {"specversion": "1.0", "id": str(self._sent), "source": "/s", "type": kind, "data": data}
        media_type = "application/cloudevents-batch+json" if batch else "application/cloudevents+json"
        headers = {"content-type": media_type, "authorization": f"Bearer {key}", "x-request-id": "same"}
        return self._client.post("/", content=json.dumps([event] if batch else event), headers=headers)


@pytest.mark.parametrize("batch", [False, True])
def test_another_keys_job_id_is_like_one_that_no_job_has(tmp_path: Path, batch: bool) -> None:
    keys = TwoKeys(tmp_path)
    ours = keys.send(keys.ours, uuid4()).json()["job_id"]
    # The outbox confirms the emission in a thread of its own.
    eventually(lambda: keys.pipeline.record(ours).confirmed == 1, within_s=60, what="the emission is confirmed")
    before = keys.pipeline.record(ours)
    anothers, unknown = keys.send(keys.theirs, ours, batch=batch), keys.send(keys.theirs, uuid4(), batch=batch)
    assert anothers.status_code == unknown.status_code == 202

    def told(answer: httpx.Response) -> tuple[bytes, str]:
        document = answer.json()
        job_id = (document["jobs"][0] if batch else document)["job_id"]
        return answer.content.replace(job_id.encode(), b"ID"), answer.headers.get("location", "").replace(job_id, "ID")

    assert told(anothers) == told(unknown)
    assert keys.pipeline.record(ours) == before
    # Nor by the id that was told, nor by that of a job that was named by its own id first.
    named = uuid4()
    first, second = keys.send(keys.ours, named), keys.send(keys.theirs, named)
    assert first.status_code == second.status_code == 202
    assert first.json()["job_id"] != second.json()["job_id"]


def test_the_same_name_is_the_same_job_for_one_key(tmp_path: Path) -> None:
    keys, named = TwoKeys(tmp_path), uuid4()
    assert keys.send(keys.ours, named).json() == keys.send(keys.ours, named).json()
    assert keys.send(keys.ours, named, width=9).status_code == 422


def test_a_crop_does_not_do_a_resize_jobs_work() -> None:
    pipeline = MemoryPipeline("crop")
    job_id = pipeline.accept({"width": 32}, picture=PICTURE)
    message = {**json.loads(pipeline.requested(job_id).data or b""), "type": "crop"}
    message["parameters"] = {"width": 8, "height": 8}
    headers, _ = encode_binary(pipeline.requested(job_id))
    headers["ce-type"] = "dev.darkroom.crop.requested"
    delivery = post(crop.build(pipeline.resources), headers, json.dumps(message).encode())
    assert (delivery.status, delivery.reply_type) == (200, "dev.darkroom.event.rejected")
    record = pipeline.record(job_id)
    assert (record.status, record.attempts, record.result) == ("queued", 0, None)
    assert parse_one(delivery.headers, delivery.body).subject != ""
    assert pipeline.claim(job_id).record.attempts == 1, "it goes on as a resize"
