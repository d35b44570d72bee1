"""The functions as the storage's front door (`STORAGE_TYPE=local`): signed uploads to ingest, downloads from status."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from darkroom.adapters.storage.local import LocalStorage
from darkroom.contract.errors import ServerBusyError
from darkroom.imaging.photograph import make_photograph
from darkroom.serving.testing import HttpClient, MemoryPipeline
from functions.ingest import app as ingest
from functions.ingest.in_flight import BytesInFlight
from functions.status import app as status

PICTURE = make_photograph(64, 48)
MAX_INPUT_BYTES = 20_000
API = "http://api.example"


class LocalFiles:
    def __init__(self, folder: Path) -> None:
        settings = {
            "STORAGE_TYPE": "local",
            "STORAGE_ENDPOINT": str(folder),
            "STORAGE_PUBLIC_ENDPOINT": API,
            "MAX_INPUT_BYTES": str(MAX_INPUT_BYTES),
        }
        pipeline = MemoryPipeline("ingest", settings=settings)
        self.now_s = 1_800_000_000.0
        self.storage = LocalStorage(folder, public_endpoint=API, clock=lambda: self.now_s)
        self._clients = {}
        for name, build in (("ingest", ingest.build), ("status", status.build)):
            resources = pipeline.resources_of(name, settings=settings)
            resources.files = resources.storage = self.storage
            self._clients[name] = HttpClient(build(resources))

    def call(self, method: str, url: str, *, to: str, **request: Any) -> httpx.Response:
        return self._clients[to].call(method, url.removeprefix(API), **request)

    def upload(self, **body: int) -> dict[str, Any]:
        document: dict[str, Any] = self.call("POST", "/api/v1/uploads", to="ingest", json=body or None).json()
        return document

    def put(self, upload: dict[str, Any], body: Any, **changes: Any) -> httpx.Response:
        headers = {name: value for name, value in upload["headers"].items() if name != "Content-Length"}
        request: dict[str, Any] = {"method": "PUT", "url": upload["url"], "headers": headers, "content": body}
        return self.call(**{**request, **changes}, to="ingest")

    def download_url(self, key: str, **changes: Any) -> str:
        asked: dict[str, Any] = {"content_type": "image/jpeg", "filename": "a.jpg", "lifetime_s": 60}
        return self.storage.sign_download(key, **{**asked, **changes}).url


@pytest.fixture
def files(tmp_path: Path) -> LocalFiles:
    return LocalFiles(tmp_path)


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "") if answer.content else ""


def test_a_picture_is_uploaded_submitted_and_its_key_cannot_be_used_again(files: LocalFiles) -> None:
    place = files.upload()
    assert urlsplit(place["upload"]["url"]).path == f"/api/v1/files/{place['storage_key']}"
    assert files.put(place["upload"], PICTURE).status_code == 200
    body = {"parameters": {"width": 32}, "input": {"storage_key": place["storage_key"]}}
    assert files.call("POST", "/api/v1/resize", to="ingest", json=body).status_code == 202
    assert code(files.put(place["upload"], b"another")) == (412, "input.exists")
    assert files.storage.get(place["storage_key"], max_bytes=MAX_INPUT_BYTES) == PICTURE


def test_a_download_has_the_type_and_the_name_that_were_signed(files: LocalFiles) -> None:
    files.storage.put("processed/1.jpg", b"<html>no picture</html>", content_type="text/html")
    answer = files.call("GET", files.download_url("processed/1.jpg", filename='a"\r\n.jpg'), to="status")
    assert (answer.status_code, answer.content) == (200, b"<html>no picture</html>")
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["content-disposition"] == 'attachment; filename="a___.jpg"'


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("processed/1.jpg", "processed/2.jpg"),
        ("image%2Fjpeg", "text%2Fhtml"),
        ("a.jpg", "b.html"),
        ("expires=1800000060", "expires=1800000600"),
        ("expires=1800000060", "expires=01800000060"),
        ("signature=", "signature=0"),
        ("signature=", "signature=%C3%A9"),
        ("?", "?bytes=5&"),
        ("?", "?x=5&"),
        ("?", "?expires=1&"),
        ("processed/1.jpg", "processed%2F..%2F..%2Fetc/passwd"),
        ("processed/1.jpg", ".signing-key"),
    ],
)
def test_a_changed_download_is_refused(files: LocalFiles, old: str, new: str) -> None:
    for key in ("processed/1.jpg", "processed/2.jpg"):
        files.storage.put(key, PICTURE, content_type="image/jpeg")
    url = files.download_url("processed/1.jpg")
    assert old in url
    assert code(files.call("GET", url.replace(old, new, 1), to="status")) == (403, "signature.invalid")
    assert files.call("GET", url, to="status").status_code == 200


def test_a_url_is_for_one_method(files: LocalFiles) -> None:
    files.storage.put("uploads/1", PICTURE, content_type="image/jpeg")
    download = files.download_url("uploads/1", content_type="application/octet-stream", filename="")
    assert files.call("HEAD", download, to="status").status_code == 403
    headers = {"content-type": "application/octet-stream"}
    assert files.call("PUT", download, to="ingest", headers=headers, content=b"x").status_code == 403
    upload = files.upload()["upload"]
    assert files.call("GET", upload["url"], to="status").status_code == 403


def test_urls_expire(files: LocalFiles) -> None:
    files.storage.put("processed/1.jpg", PICTURE, content_type="image/jpeg")
    url, upload = files.download_url("processed/1.jpg"), files.upload()["upload"]
    files.now_s += 59
    assert files.call("GET", url, to="status").status_code == 200
    files.now_s += 1
    refused = files.call("GET", url, to="status")
    assert code(refused) == (403, "signature.invalid")
    assert "expired" in refused.json()["detail"]
    files.now_s += 600
    assert code(files.put(upload, PICTURE)) == (403, "signature.invalid")


def test_what_is_gone_is_not_found(files: LocalFiles) -> None:
    assert code(files.call("GET", files.download_url("processed/1.jpg"), to="status")) == (404, "input.not_found")


def test_uploads_keep_the_size_limit_and_leave_nothing_behind(files: LocalFiles) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield bytes(MAX_INPUT_BYTES // 2)

    place = files.upload()
    assert code(files.put(place["upload"], bytes(MAX_INPUT_BYTES + 1))) == (413, "input.too_large")
    assert code(files.put(place["upload"], chunks())) == (413, "input.too_large")
    assert files.storage.info(place["storage_key"]) is None
    assert files.put(place["upload"], bytes(MAX_INPUT_BYTES)).status_code == 200


@pytest.mark.parametrize("body", [b"1234", b"123456", b""])
def test_an_upload_of_a_declared_size_has_that_size(files: LocalFiles, body: bytes) -> None:
    async def chunked() -> AsyncIterator[bytes]:
        yield body

    place = files.upload(bytes=5)
    for sent in (body, chunked()):
        assert code(files.put(place["upload"], sent)) == (403, "signature.invalid")
    assert files.put(place["upload"], b"12345").status_code == 200


def test_an_upload_is_counted_among_the_bytes_in_flight(files: LocalFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    def take(in_flight: BytesInFlight, owner: str, size: int) -> None:
        original(in_flight, owner, size)
        held.append(in_flight.held_bytes)

    original, held = BytesInFlight.take, list[int]()
    monkeypatch.setattr(BytesInFlight, "take", take)

    async def chunked() -> AsyncIterator[bytes]:
        yield PICTURE[:500]
        yield PICTURE[500:600]

    assert files.put(files.upload()["upload"], chunked()).status_code == 200
    assert held == [500, 100], "each is given back when it is on the disk"


def test_an_upload_to_an_instance_that_is_full_is_refused_and_leaves_nothing(
    files: LocalFiles, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def is_full(_in_flight: BytesInFlight, _owner: str, size: int) -> None:
        if size > 100:
            raise ServerBusyError("full")

    place = files.upload()
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr(BytesInFlight, "_check", is_full)
    assert code(files.put(place["upload"], PICTURE)) == (503, "server.busy")
    monkeypatch.undo()
    assert sorted(tmp_path.rglob("*")) == before
    assert files.put(place["upload"], PICTURE).status_code == 200


def test_an_upload_has_the_content_type_that_was_signed(files: LocalFiles) -> None:
    upload = files.upload()["upload"]
    refused = files.put(upload, PICTURE, headers={"content-type": "text/html"})
    assert code(refused) == (403, "signature.invalid")


def test_without_local_files_the_path_is_not_served() -> None:
    pipeline = MemoryPipeline("ingest")
    for method, build in (("PUT", ingest.build), ("GET", status.build)):
        answer = HttpClient(build(pipeline.resources)).call(method, "/api/v1/files/a?signature=x")
        assert code(answer) == (404, "route.not_found")
