"""What a client gets wrong, and how it is told: the same problem documents of any deployment."""

from __future__ import annotations

import uuid

import pytest

from tests.blackbox.client import Deployment, png, problem

# A stack of its own, or somebody's cluster: not for `make test`.
pytestmark = pytest.mark.slow

PICTURE = png(64, 48)


def test_what_is_no_picture_is_refused(deployment: Deployment) -> None:
    answer = deployment.post("/api/v1/resize", files={"image": b"not a picture"}, data={"width": "10"})
    problem(answer, 415, "input.unsupported")


@pytest.mark.parametrize(
    "fields", [{}, {"width": "0"}, {"width": "9000"}, {"width": "ten"}, {"width": "10", "colour": "red"}]
)
def test_a_wrong_parameter_is_named(deployment: Deployment, fields: dict[str, str]) -> None:
    answer = deployment.post("/api/v1/resize", files={"image": PICTURE}, data=fields)
    assert problem(answer, 400, "parameters.invalid")["errors"]


def test_an_area_beyond_the_picture_is_refused(deployment: Deployment) -> None:
    fields = {"x": "60", "y": "0", "width": "10", "height": "10"}
    problem(deployment.post("/api/v1/crop", files={"image": PICTURE}, data=fields), 422, "crop.out_of_bounds")


@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_half_a_picture_is_an_error_and_never_half_a_result(deployment: Deployment, kept: float) -> None:
    half = PICTURE[: int(len(PICTURE) * kept)]
    answer = deployment.post("/api/v1/resize", files={"image": half}, data={"width": "10"})
    if answer.status_code == 202:
        job = deployment.ended(answer.json()["job_id"])
        assert job["status"] == "failed"
        assert job["error"]["code"].startswith("image.")
        assert job["attempts"] == 1
    else:
        assert answer.status_code == 422, answer.text


@pytest.mark.parametrize("job_id", ["3fa85f64-5717-4562-b3fc-2c963f66afa6", "nonsense"])
def test_an_unknown_job_is_not_found(deployment: Deployment, job_id: str) -> None:
    problem(deployment.get(f"/api/v1/jobs/{job_id}"), 404, "job.not_found")


def test_a_picture_that_is_not_in_storage_is_not_found(deployment: Deployment) -> None:
    body = {"parameters": {"width": 10}, "input": {"storage_key": f"uploads/{uuid.uuid4()}/original"}}
    problem(deployment.post("/api/v1/resize", json=body), 404, "input.not_found")


def test_what_is_no_event_is_refused(deployment: Deployment) -> None:
    answer = deployment.post("/api/v1/events", content="{}", headers={"Content-Type": "application/cloudevents+json"})
    problem(answer, 400, "event.invalid")


def test_who_shows_no_key_or_a_wrong_one_is_not_let_in(deployment: Deployment) -> None:
    if deployment.api_key is None:
        pytest.skip("DARKROOM_API_KEY is not set")
    problem(deployment.get("/api/v1/jobs", key=None), 401, "auth.missing")
    wrong = deployment.api_key[:-1] + ("a" if deployment.api_key[-1] != "a" else "b")
    problem(deployment.get("/api/v1/jobs", key=wrong), 401, "auth.invalid")


def test_it_says_that_it_is_alive_and_what_it_takes(deployment: Deployment) -> None:
    assert deployment.get("/health/live", key=None).status_code == 200
    assert deployment.get("/health/ready", key=None).status_code == 200
    document = deployment.get("/openapi.json", key=None).json()
    assert document["openapi"].startswith("3.1")
    assert "/api/v1/resize" in document["paths"]
