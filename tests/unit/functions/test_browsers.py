"""What both functions answer to web pages: the hosts and origins they serve, preflights, and every answer's headers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from darkroom.contract.api_keys import make_key
from darkroom.contract.errors import ImageCorruptError
from darkroom.imaging.photograph import make_photograph
from darkroom.serving.key_file import write_key_file
from darkroom.serving.testing import HttpClient, MemoryPipeline
from functions.ingest import app as ingest
from functions.status import app as status

PICTURE = make_photograph(64, 48)
SHOP = "https://shop.example"


class Pair:
    def __init__(self, **settings: str) -> None:
        self.pipeline = MemoryPipeline("ingest", settings=settings)
        self._clients = {
            "ingest": HttpClient(ingest.build(self.pipeline.resources)),
            "status": HttpClient(status.build(self.pipeline.resources_of("status", settings=settings))),
        }

    def call(self, method: str, path: str, *, to: str = "ingest", **request: Any) -> httpx.Response:
        return self._clients[to].call(method, path, **request)

    def submit(self, **headers: str) -> httpx.Response:
        sent = {"content-type": "image/jpeg", **headers}
        return self.call("POST", "/api/v1/resize?width=8", content=PICTURE, headers=sent)

    @property
    def jobs(self) -> int:
        return sum(self.pipeline.jobs.backlog().by_status.values())


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


# --- hosts and origins where keys are off ----------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "93.184.216.34", ""])
def test_a_name_that_may_be_a_pages_is_not_served(host: str) -> None:
    pair = Pair()
    assert code(pair.submit(host=host)) == (403, "host.refused")
    assert code(pair.call("GET", "/api/v1/jobs", to="status", headers={"host": host})) == (403, "host.refused")
    assert not pair.jobs


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "127.0.0.1:8080",
        "[::1]:80",
        "ingest.darkroom.localhost",
        "ingest",
        "ingest.darkroom.svc.cluster.local",
    ],
)
def test_names_of_this_machine_and_of_the_cluster_are_served(host: str) -> None:
    assert Pair().submit(host=host).status_code == 202


def test_configured_names_are_served() -> None:
    pair = Pair(ALLOWED_HOSTS="darkroom.example, *.shop.example")
    assert [
        pair.submit(host=host).status_code for host in ("darkroom.example:443", "a.shop.example", "evil.example")
    ] == [*(202, 202, 403)]


@pytest.mark.parametrize("origin", [SHOP, "http://localhost:3000", "null", "http://127.0.0.1:1", "file://"])
def test_a_page_of_another_origin_changes_nothing(origin: str) -> None:
    pair = Pair()
    for path in ("/api/v1/resize?width=8", "/api/v1/uploads", "/api/v1/events", "/"):
        sent = {"origin": origin, "content-type": "image/jpeg"}
        assert code(pair.call("POST", path, content=PICTURE, headers=sent)) == (403, "origin.refused"), path
    assert not pair.jobs


def test_a_page_of_the_same_origin_and_a_program_are_served() -> None:
    pair = Pair()
    assert pair.submit(host="127.0.0.1:8080", origin="http://127.0.0.1:8080").status_code == 202
    assert pair.submit().status_code == 202


def test_with_keys_every_name_is_served_and_the_key_decides(tmp_path: Path) -> None:
    key, stored = make_key("shop")
    write_key_file(tmp_path / "keys.json", [stored])
    pair = Pair(API_KEYS="on", API_KEYS_FILE=str(tmp_path / "keys.json"))
    assert pair.submit(host="darkroom.example", authorization=f"Bearer {key}").status_code == 202
    assert code(pair.submit(host="darkroom.example")) == (401, "auth.missing")


def test_health_is_asked_under_a_pods_address() -> None:
    pair = Pair()
    for to in ("ingest", "status"):
        assert pair.call("GET", "/health/startup", to=to, headers={"host": "10.1.2.3:8080"}).status_code == 200


# --- CORS ------------------------------------------------------------------------------------------------------------

PREFLIGHT = {
    "origin": SHOP,
    "access-control-request-method": "POST",
    "access-control-request-headers": "content-type, authorization,ce-id,x-evil,idempotency-key",
}


def test_without_origins_there_is_no_cors() -> None:
    pair = Pair()
    answer = pair.call("OPTIONS", "/api/v1/resize", headers=PREFLIGHT)
    assert answer.status_code == 405
    read = pair.call("GET", "/api/v1/jobs", to="status", headers={"origin": SHOP})
    for headers in (answer.headers, read.headers):
        assert not any(name.startswith("access-control") for name in headers)


@pytest.mark.parametrize(
    ("to", "path", "methods"),
    [
        ("ingest", "/api/v1/resize", "OPTIONS, POST"),
        ("ingest", "/api/v1/uploads", "OPTIONS, POST"),
        ("ingest", "/", "OPTIONS, POST"),
        ("ingest", "/openapi.json", "GET, HEAD, OPTIONS"),
        ("status", "/api/v1/jobs", "GET, HEAD, OPTIONS"),
        ("status", "/api/v1/jobs/7f/events", "GET, HEAD, OPTIONS"),
    ],
)
def test_a_preflight_is_answered_without_a_key(to: str, path: str, methods: str, tmp_path: Path) -> None:
    write_key_file(tmp_path / "keys.json", [make_key("shop")[1]])
    keys = {"API_KEYS": "on", "API_KEYS_FILE": str(tmp_path / "keys.json")}
    answer = Pair(ALLOWED_ORIGINS=f"http://a, {SHOP}", **keys).call("OPTIONS", path, to=to, headers=PREFLIGHT)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == SHOP
    assert answer.headers["access-control-allow-methods"] == methods
    assert answer.headers["access-control-allow-headers"] == "content-type, authorization, ce-id, idempotency-key"
    assert answer.headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in answer.headers


def test_other_origins_are_refused_and_unknown_paths_are_unknown() -> None:
    pair = Pair(ALLOWED_ORIGINS=SHOP)
    foreign = pair.call("OPTIONS", "/api/v1/resize", headers={**PREFLIGHT, "origin": "https://shop.example.evil"})
    assert code(foreign) == (403, "origin.refused")
    assert "access-control-allow-origin" not in foreign.headers
    assert code(pair.call("OPTIONS", "/api/v1/none", headers=PREFLIGHT)) == (404, "route.not_found")
    assert code(pair.submit(origin="https://other.example")) == (403, "origin.refused")
    plain = pair.call("OPTIONS", "/api/v1/resize")
    assert (plain.status_code, plain.headers["allow"]) == (204, "OPTIONS, POST")


def test_an_allowed_page_may_read_answers_and_errors() -> None:
    pair = Pair(ALLOWED_ORIGINS=SHOP)
    accepted = pair.submit(origin=SHOP)
    assert accepted.status_code == 202
    job = accepted.headers["location"]
    refused = pair.call("POST", "/api/v1/resize", headers={"origin": SHOP})
    for answer in (
        accepted,
        refused,
        pair.call("GET", job, to="status", headers={"origin": SHOP}),
        pair.call("GET", "/api/v1/jobs/none", to="status", headers={"origin": SHOP}),
    ):
        assert answer.headers["access-control-allow-origin"] == SHOP
        assert "Location" in answer.headers["access-control-expose-headers"]


def test_any_origin_may_be_allowed() -> None:
    assert Pair(ALLOWED_ORIGINS="*").submit(origin="null").headers["access-control-allow-origin"] == "null"


# --- every answer ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("to", "method", "path", "expected"),
    [
        ("ingest", "GET", "/openapi.json", 200),
        ("ingest", "GET", "/health/live", 200),
        ("ingest", "POST", "/api/v1/uploads", 201),
        ("ingest", "POST", "/api/v1/resize", 415),
        ("ingest", "PUT", "/api/v1/resize", 405),
        ("ingest", "GET", "/none", 404),
        ("status", "GET", "/api/v1/jobs", 200),
        ("status", "GET", "/api/v1/jobs?limit=x", 400),
        ("status", "GET", "/health/ready", 200),
    ],
)
def test_no_answer_is_taken_for_a_page(to: str, method: str, path: str, expected: int) -> None:
    answer = Pair().call(method, path, to=to)
    assert answer.status_code == expected
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'"


def test_an_event_stream_is_not_either() -> None:
    pair = Pair()
    job_id = pair.pipeline.accept(picture=PICTURE)
    lease = pair.pipeline.claim(job_id)
    pair.pipeline.jobs.fail(lease, ImageCorruptError("it is"))
    answer = pair.call("GET", f"/api/v1/jobs/{job_id}/events", to="status")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'"
