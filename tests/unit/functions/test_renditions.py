"""ingest takes renditions and presets in all its ways; status shows several results, also as an `<img>`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from darkroom.adapters.jobs import Lease
from darkroom.contract.errors import CropOutOfBoundsError, RenditionFailedError
from darkroom.contract.jobs import JobResult, rendition_key
from darkroom.errors import SettingsError
from darkroom.serving.testing import HttpClient, MemoryPipeline
from functions.ingest.app import build
from functions.status.app import build as build_status
from tests.unit.functions.ingesting import PICTURE
from tests.unit.functions.test_ingest import assert_problem

FILE = """
thumb: {type: resize, parameters: {width: 20}}
face: {type: crop, parameters: {aspect: "1:1"}}
"""
ASKED = {"thumb": {"preset": "thumb"}, "hero": {"type": "resize", "parameters": {"width": 40, "format": "webp"}}}


class World(MemoryPipeline):
    def __init__(self, presets: Path, **settings: str) -> None:
        super().__init__("ingest", settings={"PRESETS_FILE": str(presets), **settings})
        self.ingest = HttpClient(build(self.resources))
        self.status = HttpClient(build_status(self.resources_of("status")))

    def form(self, path: str = "/api/v1/renditions", **fields: str) -> httpx.Response:
        return self.ingest.post(path, files={"image": ("a.jpg", PICTURE)}, data=fields)

    def accepted(self, answer: httpx.Response) -> Any:
        assert answer.status_code == 202, answer.text
        return self.record(UUID(answer.json()["job_id"]))


@pytest.fixture
def presets(tmp_path: Path) -> Path:
    file = tmp_path / "presets.yaml"
    file.write_text(FILE)
    return file


@pytest.fixture
def world(presets: Path) -> World:
    return World(presets)


RESOLVED = {
    "thumb": {"type": "resize", "parameters": {"width": 20}},
    "hero": {"type": "resize", "parameters": {"width": 40, "format": "webp"}},
}


def test_a_form_has_the_renditions_as_the_json_of_a_field(world: World) -> None:
    record = world.accepted(world.form(renditions=json.dumps(ASKED)))
    assert record.type == "renditions"
    assert record.parameters == {"renditions": RESOLVED}
    assert record.presets["thumb"].name == "thumb"


def test_json_names_a_stored_picture(world: World) -> None:
    world.storage.put("uploads/a/original", PICTURE, content_type="image/jpeg")
    document = {"renditions": ASKED, "input": {"storage_key": "uploads/a/original"}}
    record = world.accepted(world.ingest.post("/api/v1/renditions", json=document))
    assert record.parameters == {"renditions": RESOLVED}
    assert record.storage_key == "uploads/a/original"


def test_a_raw_picture_has_its_presets_in_the_query(world: World) -> None:
    answer = world.ingest.post(
        "/api/v1/renditions?preset=thumb,face", content=PICTURE, headers={"content-type": "image/jpeg"}
    )
    assert sorted(world.accepted(answer).parameters["renditions"]) == ["face", "thumb"]


def test_resize_takes_a_preset_in_each_of_its_ways(world: World) -> None:
    world.storage.put("uploads/a/original", PICTURE, content_type="image/jpeg")
    document = {"preset": "thumb", "input": {"storage_key": "uploads/a/original"}}
    answers = [
        world.form("/api/v1/resize", preset="thumb"),
        world.ingest.post("/api/v1/resize", json=document),
        world.ingest.post("/api/v1/resize?preset=thumb", content=PICTURE, headers={"content-type": "image/jpeg"}),
    ]
    records = [world.accepted(answer) for answer in answers]
    assert [record.parameters for record in records] == [{"width": 20}] * 3
    shown = world.status.get(f"/api/v1/jobs/{records[0].job_id}").json()
    assert shown["preset"] == {"name": "thumb", "digest": records[0].presets[""].digest}
    wider = world.accepted(world.form("/api/v1/resize", preset="thumb", width="30"))
    assert wider.parameters == {"width": 30}


def event(number: int, event_type: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"specversion": "1.0", "id": str(number), "source": "/test", "type": event_type, "data": data}


def test_a_batch_of_events_may_ask_for_renditions_and_presets(world: World) -> None:
    world.storage.put("uploads/a/original", PICTURE, content_type="image/jpeg")
    stored = {"input": {"storage_key": "uploads/a/original"}}
    batch = [
        event(1, "dev.darkroom.renditions.requested", {"parameters": {"renditions": ASKED}, **stored}),
        event(2, "dev.darkroom.resize.requested", {"preset": "thumb", **stored}),
    ]
    answer = world.ingest.post(
        "/api/v1/events",
        content=json.dumps(batch).encode(),
        headers={"content-type": "application/cloudevents-batch+json"},
    )
    assert answer.status_code == 202, answer.text
    several, one = [world.record(job["job_id"]) for job in answer.json()["jobs"]]
    assert several.parameters == {"renditions": RESOLVED}
    assert one.parameters == {"width": 20}
    neither = event(3, "dev.darkroom.resize.requested", stored)
    refused = world.ingest.post(
        "/", content=json.dumps(neither).encode(), headers={"content-type": "application/cloudevents+json"}
    )
    assert "Field required, or a preset" in assert_problem(refused, 400, "event.invalid")["detail"]


def test_an_unknown_preset_is_refused_with_the_nearest_and_nothing_is_stored(world: World) -> None:
    document = assert_problem(world.form(preset="thum"), 400, "preset.unknown")
    assert "did you mean 'thumb'" in document["detail"]
    assert not world.storage.keys


def test_one_rendition_that_the_header_shows_to_be_impossible_refuses_the_job(world: World) -> None:
    outside = {"type": "crop", "parameters": {"x": 0, "y": 0, "width": 900, "height": 10}}
    document = assert_problem(world.form(renditions=json.dumps({**ASKED, "far": outside})), 422, "crop.out_of_bounds")
    assert document["detail"].startswith("rendition 'far': ")
    assert not world.storage.keys


def test_the_field_of_renditions_may_be_longer_than_others(world: World) -> None:
    many = {f"{'n' * 30}{n}": {"type": "resize", "parameters": {"width": n + 1, "format": "webp"}} for n in range(32)}
    text = json.dumps(many, indent=4)
    assert len(text) > 4096
    assert len(world.accepted(world.form(renditions=text)).parameters["renditions"]) == 32


def test_where_only_presets_are_made_parameters_are_refused(presets: Path) -> None:
    world = World(presets, PRESETS_ONLY="on")
    assert_problem(world.form("/api/v1/resize", width="20"), 400, "preset.required")
    assert_problem(world.form("/api/v1/resize", preset="thumb", width="20"), 400, "preset.required")
    assert_problem(world.form(renditions=json.dumps(ASKED)), 400, "preset.required")
    assert world.accepted(world.form(preset="thumb")).parameters["renditions"]["thumb"]


def test_the_presets_are_listed_as_they_are_now(world: World) -> None:
    listed = world.ingest.get("/api/v1/presets").json()["presets"]
    assert [(one["name"], one["type"], one["parameters"]) for one in listed] == [
        ("thumb", "resize", {"width": 20}),
        ("face", "crop", {"aspect": "1:1"}),
    ]


def test_a_file_that_is_wrong_at_the_start_stops_the_function(presets: Path) -> None:
    presets.write_text("thumb: {type: resize, parameters: {wdth: 3}}")
    with pytest.raises(SettingsError, match=r"PRESETS_FILE: .*thumb\.parameters\.wdth: unknown field"):
        World(presets)


def claimed(world: World) -> Lease:
    record = world.accepted(world.form(renditions=json.dumps(ASKED)))
    return world.claim(record.job_id)


def made(lease: Lease, name: str, width: int, height: int) -> JobResult:
    key = rendition_key(lease.job_id, name, "jpg")
    return JobResult(storage_key=key, content_type="image/jpeg", width=width, height=height, bytes=width)


def test_status_shows_each_rendition_as_it_is_made_with_a_signed_url(world: World) -> None:
    lease = claimed(world)
    world.jobs.rendered(lease, "thumb", made(lease, "thumb", 20, 15))
    shown = world.status.get(f"/api/v1/jobs/{lease.job_id}").json()
    assert shown["status"] == "processing"
    assert shown["results"]["hero"] == {"status": "processing"}
    thumb = shown["results"]["thumb"]
    assert thumb["status"] == "completed"
    assert f"processed/{lease.job_id}/thumb.jpg" in thumb["result"]["url"]
    assert thumb["preset"]["name"] == "thumb"


def test_a_failed_job_shows_what_stands_and_why_the_rest_does_not(world: World) -> None:
    lease = claimed(world)
    world.jobs.rendered(lease, "thumb", made(lease, "thumb", 20, 15))
    world.jobs.rendered(lease, "hero", CropOutOfBoundsError("outside"))
    world.jobs.fail(lease, RenditionFailedError("1 of 2"))
    shown = world.status.get(f"/api/v1/jobs/{lease.job_id}").json()
    assert (shown["status"], shown["error"]["code"]) == ("failed", "rendition.failed")
    assert "url" in shown["results"]["thumb"]["result"]
    assert shown["results"]["hero"]["error"]["code"] == "crop.out_of_bounds"


def test_srcset_has_the_results_of_one_shape_from_narrow_to_wide(world: World) -> None:
    lease = claimed(world)
    sizes = {"a": (800, 600), "b": (200, 150), "c": (400, 300), "square": (300, 300), "d": (133, 100)}
    for name, (width, height) in sizes.items():
        world.jobs.rendered(lease, name, made(lease, name, width, height))
    shown = world.status.get(f"/api/v1/jobs/{lease.job_id}?view=srcset").json()
    assert [one.rpartition(" ")[2] for one in shown["srcset"].split(", ")] == ["133w", "200w", "400w", "800w"]
    assert "square" not in shown["srcset"]
    assert (shown["width"], shown["height"]) == (800, 600)
    assert shown["sizes"] == "(max-width: 800px) 100vw, 800px"
    assert shown["src"] in shown["srcset"]


def test_srcset_of_a_job_without_results_has_its_status_alone(world: World) -> None:
    lease = claimed(world)
    shown = world.status.get(f"/api/v1/jobs/{lease.job_id}?view=srcset").json()
    assert shown == {"job_id": str(lease.job_id), "status": "processing"}
    assert_problem(world.status.get(f"/api/v1/jobs/{lease.job_id}?view=html"), 400, "parameters.invalid")
