"""A worker fetches the overlay of its job, and reports the placeholder in the result."""

from __future__ import annotations

from darkroom.contract.jobs import JobRecord, JobStatus
from darkroom.contract.parameters.values import Format
from tests import pictures
from tests.unit.imaging.pixels import close, rgb_at
from tests.unit.serving.test_work import World

MARK = "uploads/mark/original"


def done(world: World) -> JobRecord:
    world.worker.handle(world.event())
    return world.job()


def world_with(overlay: bytes | None) -> World:
    base = pictures.encoded(pictures.plain(64, 48), Format.PNG)
    parameters = {"width": 32, "overlay": {"storage_key": MARK, "gravity": "northwest"}, "placeholder": "colour"}
    world = World(base, parameters=parameters)
    if overlay is not None:
        world.storage.put(MARK, overlay, content_type="image/png")
    return world


def test_the_overlay_is_on_the_result_and_the_placeholder_in_it() -> None:
    world = world_with(pictures.encoded(pictures.plain(16, 12, (0, 200, 0)), Format.PNG))
    record = done(world)
    assert record.status is JobStatus.COMPLETED
    assert record.result is not None
    body = world.stored_result(world.job_id)
    assert close(rgb_at(body, 0.05, 0.05), (0, 200, 0))
    assert close(rgb_at(body, 0.9, 0.9), pictures.RED)
    assert record.result.placeholder is not None
    assert record.view()["result"]["placeholder"].startswith("#")


def test_an_overlay_that_is_gone_fails_the_job_and_says_which_picture_it_was() -> None:
    record = done(world_with(None))
    assert record.status is JobStatus.FAILED
    assert record.error is not None
    assert record.error.code == "input.not_found"
    assert record.error.message.startswith("the overlay: ")


def test_a_result_without_a_placeholder_does_not_mention_one() -> None:
    world = World(pictures.encoded(pictures.plain(64, 48), Format.PNG), parameters={"width": 32})
    assert "placeholder" not in done(world).view()["result"]
