"""`STORAGE_TYPE=local darkroom up`: the whole pipeline with pictures as files, and no S3 server."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from darkroom.contract.limits import Limits
from darkroom.imaging import probe
from tests.stack import RunningStack, running_stack

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def local_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("stack"), environment={"STORAGE_TYPE": "local"}) as stack:
        yield stack


def test_there_is_no_s3_server(local_stack: RunningStack) -> None:
    assert {server["name"] for server in local_stack.status()["servers"]} == {"nats", "redis"}
    assert local_stack.addresses.get("s3") is None
    assert not any("weed" in process.name() for process in local_stack.descendants())
    assert not (local_stack.data / "s3").exists()


def test_a_picture_goes_its_whole_way(local_stack: RunningStack, photograph: bytes) -> None:
    job = local_stack.completed(local_stack.submit("resize", photograph, width=100))
    assert job["result"]["url"].startswith(f"{local_stack.addresses['api']}/api/v1/files/processed/")
    answer = httpx.get(job["result"]["url"], timeout=20)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["content-disposition"].startswith("attachment; ")
    assert (job["result"]["width"], job["result"]["height"]) == (100, 75)
    assert len(answer.content) == job["result"]["bytes"]


def test_a_signed_upload_goes_through_the_api_and_cannot_be_replaced(
    local_stack: RunningStack, photograph: bytes
) -> None:
    api = local_stack.addresses["api"]
    place = httpx.post(f"{api}/api/v1/uploads", json={"bytes": len(photograph)}, timeout=20).json()
    upload = place["upload"]
    assert upload["url"].startswith(f"{api}/api/v1/files/uploads/")

    def put(body: bytes) -> int:
        headers = {name: value for name, value in upload["headers"].items() if name != "Content-Length"}
        return httpx.put(upload["url"], headers=headers, content=body, timeout=20).status_code

    assert put(photograph[:-1]) == 403
    assert put(photograph) == 200
    body = {"parameters": {"width": 60}, "input": {"storage_key": place["storage_key"]}}
    accepted = httpx.post(f"{api}/api/v1/resize", json=body, timeout=20)
    assert accepted.status_code == 202, accepted.text
    assert put(photograph[::-1]) == 412
    facts = probe(local_stack.download(local_stack.completed(accepted.json()["job_id"])), Limits())
    assert (facts.width, facts.height) == (60, 45)
