"""`Priority: u=7` (RFC 9218): what nobody waits for gets a lane, and so a Service, of its own."""

from __future__ import annotations

import json
from uuid import UUID

import pytest

from darkroom.contract.priorities import is_background
from darkroom.imaging.photograph import make_photograph
from darkroom.serving.testing import HttpClient, MemoryPipeline
from functions.ingest.app import build

PICTURE = make_photograph(64, 48)
RENDITIONS = json.dumps({"small": {"type": "resize", "parameters": {"width": 8}}})
AVIF = json.dumps({"small": {"type": "resize", "parameters": {"width": 8, "format": "avif"}}})


def cost_class(*, path: str = "renditions", priority: str | None, asked: str = RENDITIONS, setting: str = "on") -> str:
    """Submit a picture, and return the cost class of the event that was emitted for it."""
    pipeline = MemoryPipeline("ingest", settings={"COST_CLASSES": setting})
    fields = {"renditions": asked} if path == "renditions" else {"width": "8"}
    answer = HttpClient(build(pipeline.resources)).post(
        f"/api/v1/{path}",
        files={"image": ("a.jpg", PICTURE)},
        data=fields,
        headers={} if priority is None else {"priority": priority},
    )
    assert answer.status_code == 202, answer.text
    record = pipeline.jobs.get(UUID(answer.json()["job_id"]))
    [event] = pipeline.emitter.events
    assert record is not None
    assert event.extensions["costclass"] == record.cost_class
    return record.cost_class


def test_a_job_that_nobody_waits_for_is_in_the_background() -> None:
    assert cost_class(priority="u=7") == "background"


@pytest.mark.parametrize("priority", [None, "u=1, i", "u=6"])
def test_any_other_urgency_changes_nothing(priority: str | None) -> None:
    assert cost_class(priority=priority) == "standard"


def test_a_hard_picture_that_nobody_waits_for_is_in_the_background_too() -> None:
    assert cost_class(priority=None, asked=AVIF) == "heavy"
    assert cost_class(priority="u=7", asked=AVIF) == "background"


def test_a_type_without_a_service_for_it_has_no_background() -> None:
    assert cost_class(path="resize", priority="u=7") == "standard"


def test_without_cost_classes_there_is_no_background() -> None:
    assert cost_class(priority="u=7", setting="off") == "standard"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["u=7"], True),
        (["i, u=7;x=1"], True),
        (["u=3", "u=7"], True),
        (["u=7, u=3"], False),
        ([], False),
        (["u=70"], False),
        (["u=7.5"], False),
        (["u=seven, =, ;"], False),
        (["ru=7"], False),
    ],
)
def test_what_is_not_understood_is_no_error(values: list[str], expected: bool) -> None:
    assert is_background(values) is expected
