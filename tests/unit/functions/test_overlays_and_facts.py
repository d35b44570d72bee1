"""Overlays and facts on ingest: the same pictures that a caller may submit, and no others."""

from __future__ import annotations

from typing import Any

import pytest

from darkroom.contract.errors import InputNotFoundError
from darkroom.contract.job_types import job_type_named
from darkroom.contract.limits import Limits
from darkroom.contract.parameters.values import Format
from darkroom.contract.picture_facts import PictureFacts
from darkroom.contract.requests import Resolved
from functions.ingest.submission import Submission
from functions.ingest.uploads import check_key, check_upload
from tests import pictures
from tests.unit.functions.ingesting import PICTURE, Ingest
from tests.unit.functions.test_ingest import assert_problem

MARK = "uploads/mark/original"


def asked(**overlay: Any) -> dict[str, Any]:
    parameters = {"width": 32, "overlay": {"storage_key": MARK, **overlay}}
    return {"parameters": parameters, "input": {"storage_key": "uploads/mine/original"}}


@pytest.fixture(autouse=True)
def _picture(ingest: Ingest) -> None:
    ingest.storage.put("uploads/mine/original", PICTURE, content_type="image/jpeg")


def test_an_overlay_that_is_in_storage_becomes_part_of_the_job(ingest: Ingest) -> None:
    ingest.storage.put(MARK, PICTURE, content_type="image/jpeg")
    answer = ingest.call("POST", "/api/v1/resize", json=asked(opacity=0.5))
    assert answer.status_code == 202, answer.text
    [event] = ingest.emitter.events
    assert event.json()["parameters"]["overlay"] == {"storage_key": MARK, "opacity": 0.5}


def test_a_form_has_its_overlay_as_json(ingest: Ingest) -> None:
    ingest.storage.put(MARK, PICTURE, content_type="image/jpeg")
    fields = {"width": "32", "overlay": f'{{"storage_key": "{MARK}", "gravity": "centre"}}'}
    assert ingest.resize(fields=fields).status_code == 202


def test_an_overlay_that_is_not_there_is_reported_and_nothing_is_accepted(ingest: Ingest) -> None:
    document = assert_problem(ingest.call("POST", "/api/v1/resize", json=asked()), 404, "input.not_found")
    assert document["detail"].startswith("the overlay: ")
    assert not ingest.emitter.events


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"no picture", 415, "input.unsupported"),
        (bytes(Limits().max_overlay_bytes), 413, "input.too_large"),
        (pictures.jpeg_that_claims(5000, 2001), 422, "image.too_many_pixels"),
    ],
    ids=["no picture", "bytes", "pixels"],
)
def test_an_overlay_beyond_its_limits_is_refused_by_its_header(
    ingest: Ingest, body: bytes, status: int, code: str
) -> None:
    ingest.storage.put(MARK, body, content_type="image/jpeg")
    document = assert_problem(ingest.call("POST", "/api/v1/resize", json=asked()), status, code)
    assert document["detail"].startswith("the overlay: ")


def test_a_key_uses_only_its_own_pictures_as_overlays() -> None:
    def submission(overlay: str) -> Submission:
        fields = {"width": 32, "overlay": {"storage_key": overlay}}
        resize = job_type_named("resize")
        return Submission(type=resize, asked=Resolved(parameters=resize.parse(fields)), body=PICTURE)

    check_upload(submission("uploads/mine/a"), "mine")
    with pytest.raises(InputNotFoundError):
        check_upload(submission("uploads/others/a"), "mine")
    with pytest.raises(InputNotFoundError):
        check_key("uploads/minerva/a", "mine")
    with pytest.raises(InputNotFoundError):
        check_key("processed/a.png", "mine")


def test_an_overlay_makes_another_request_of_it(ingest: Ingest) -> None:
    for key in (MARK, "uploads/mark/other"):
        ingest.storage.put(key, PICTURE, content_type="image/jpeg")
    headers = {"idempotency-key": "once"}
    assert ingest.call("POST", "/api/v1/resize", json=asked(), headers=headers).status_code == 202
    other = asked(storage_key="uploads/mark/other")
    assert_problem(ingest.call("POST", "/api/v1/resize", json=other, headers=headers), 422, "idempotency.mismatch")


@pytest.mark.parametrize("format", [Format.JPEG, Format.PNG, Format.WEBP, Format.AVIF, Format.GIF])
def test_the_facts_of_a_picture_are_those_of_its_header(ingest: Ingest, format: Format) -> None:
    body = pictures.oriented(pictures.quarters(60, 40), 6 if format is not Format.GIF else 1, format)
    ingest.storage.put("uploads/turned", body, content_type="image/jpeg")
    answer = ingest.call("GET", "/api/v1/facts", params={"storage_key": "uploads/turned"})
    assert answer.status_code == 200, answer.text
    facts = PictureFacts.model_validate(answer.json())
    assert (facts.format, facts.content_type, facts.width, facts.height) == (format, f"image/{format}", 60, 40)
    assert (facts.frames, facts.bytes, facts.storage_key) == (1, len(body), "uploads/turned")
    assert not ingest.emitter.events


def test_facts_tell_alpha_frames_and_profiles(ingest: Ingest) -> None:
    bodies = {
        "disc": pictures.encoded(pictures.disc_with_alpha(30, 20), Format.PNG),
        "ball": pictures.animation(Format.GIF),
        "wide": pictures.wide_gamut(pictures.quarters(60, 40), Format.JPEG),
    }
    for name, body in bodies.items():
        ingest.storage.put(f"uploads/{name}", body, content_type="image/png")
    disc, ball, wide = (
        ingest.call("GET", "/api/v1/facts", params={"storage_key": f"uploads/{name}"}).json() for name in bodies
    )
    assert (disc["has_alpha"], disc["lossless"], wide["has_alpha"]) == (True, True, False)
    assert ball["frames"] == 5
    assert (wide["has_profile"], disc["has_profile"]) == (True, False)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "storage_key=",
        "storage_key=../a",
        "storage_key=a&storage_key=b",
        "storage_key=a&width=3",
        f"storage_key={'a' * 513}",
    ],
)
def test_a_query_for_facts_names_one_key_and_nothing_else(ingest: Ingest, query: str) -> None:
    assert_problem(ingest.call("GET", f"/api/v1/facts?{query}"), 400, "parameters.invalid")


def test_there_are_no_facts_of_what_is_not_there_or_no_picture(ingest: Ingest) -> None:
    ingest.storage.put("uploads/text", b"no picture at all", content_type="text/plain")
    assert_problem(ingest.call("GET", "/api/v1/facts?storage_key=uploads/none"), 404, "input.not_found")
    assert_problem(ingest.call("GET", "/api/v1/facts?storage_key=uploads/text"), 415, "input.unsupported")


@pytest.mark.parametrize("media_type", [None, "binary/octet-stream", "application/x-www-form-urlencoded", "text/plain"])
def test_a_raw_picture_of_another_type_gets_an_error_about_its_type(ingest: Ingest, media_type: str | None) -> None:
    headers = {} if media_type is None else {"content-type": media_type}
    answer = ingest.call("POST", "/api/v1/resize?width=32", content=PICTURE, headers=headers)
    document = assert_problem(answer, 415, "input.unsupported")
    assert "Content-Type must be image/* or application/octet-stream" in document["detail"]
    assert f"was {media_type or 'absent'}" in document["detail"]
