"""What ingest's rates count: jobs and bytes, however many of them a request asks for; and what a batch costs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from darkroom.contract.api_keys import make_key
from darkroom.imaging.photograph import make_photograph
from darkroom.serving.key_file import write_key_file
from darkroom.serving.testing import HttpClient, MemoryPipeline
from functions.ingest.app import build

PICTURE = make_photograph(64, 48)
STORED = "uploads/mine/original"


class Door(HttpClient):
    """ingest with a rate, over a storage that notes what is read from it."""

    def __init__(self, **settings: str) -> None:
        self.pipeline = MemoryPipeline("ingest", settings=settings)
        self.fetched: list[str] = []
        self.looked_up: list[str] = []
        storage = self.pipeline.storage
        storage.put(STORED, PICTURE, content_type="image/jpeg")
        get, info = storage.get, storage.info

        def noted_get(key: str, *, max_bytes: int) -> bytes:
            self.fetched.append(key)
            return get(key, max_bytes=max_bytes)

        def noted_info(key: str) -> Any:
            self.looked_up.append(key)
            return info(key)

        storage.get, storage.info = noted_get, noted_info  # type: ignore[method-assign]
        super().__init__(build(self.pipeline.resources))

    def send(self, events: Any, **more: Any) -> httpx.Response:
        headers = {"content-type": "application/cloudevents-batch+json", **more}
        return self.call("POST", "/", content=json.dumps(events), headers=headers)

    def resize(self, picture: bytes = PICTURE, **more: Any) -> httpx.Response:
        files = {"image": ("a.jpg", picture)}
        return self.call("POST", "/api/v1/resize", files=files, data={"width": "32"}, **more)

    @property
    def jobs(self) -> int:
        return sum(self.pipeline.jobs.backlog().by_status.values())


def events(count: int, *, key: str = STORED, first: int = 0) -> list[dict[str, Any]]:
    data = {"parameters": {"width": 32}, "input": {"storage_key": key}}
    kind = "dev.darkroom.resize.requested"
    return [
        {"specversion": "1.0", "id": str(first + number), "source": "/s", "type": kind, "data": data}
        for number in range(count)
    ]


def limits(answer: httpx.Response) -> tuple[str, str]:
    return answer.headers["ratelimit-policy"], answer.headers["ratelimit"]


def test_a_batch_counts_as_many_jobs_as_it_asks_for() -> None:
    door = Door(RATE_LIMIT="10/minute")
    answers = [door.send(events(4, first=4 * number)) for number in range(4)]
    assert [answer.status_code for answer in answers] == [202, 202, 429, 429]
    assert [limits(answer)[1].split(";")[1] for answer in answers] == ["r=6", "r=2", "r=2", "r=2"]
    assert door.jobs == 8
    assert "asks for 4 and 2 are left" in answers[2].json()["detail"]
    assert answers[2].headers["retry-after"] == "12"
    assert door.send(events(2, first=20)).status_code == 202, "a batch that was refused cost nothing"
    assert door.resize().status_code == 429, "pictures and batches are counted together"


def test_a_batch_beyond_the_whole_rate_is_told_so() -> None:
    door = Door(RATE_LIMIT="10/minute")
    refused = door.send(events(100))
    assert (refused.status_code, refused.json()["code"]) == (429, "rate.limited")
    assert "asks for 100, which is never admitted at once" in refused.json()["detail"]
    assert int(refused.headers["retry-after"]) >= 1
    assert not door.looked_up
    assert not door.fetched
    assert not door.jobs
    assert door.send(events(10)).status_code == 202


def test_who_has_nothing_left_is_refused_before_the_batch_is_read() -> None:
    door = Door(RATE_LIMIT="2/minute")
    assert door.send(events(2)).status_code == 202
    refused = door.send("no batch at all")
    assert refused.status_code == 429
    assert limits(refused) == ('"address";q=2;w=60', '"address";r=0;t=60')


def test_what_is_no_batch_counts_as_one_job() -> None:
    door = Door(RATE_LIMIT="3/minute")
    bad = [*events(2), {"specversion": "1.0"}]
    statuses = [door.send(sent).status_code for sent in ("no batch", bad, [], bad)]
    assert statuses == [400, 400, 202, 429]


def test_an_invalid_event_is_found_before_any_picture_is_fetched() -> None:
    door = Door()
    keys = [f"uploads/mine/{number}" for number in range(5)]
    for key in keys:
        door.pipeline.storage.put(key, PICTURE, content_type="image/jpeg")
    batch = [event for number, key in enumerate(keys) for event in events(1, key=key, first=number)]
    answer = door.send([*batch, {"specversion": "1.0", "id": ""}])
    assert (answer.status_code, answer.json()["code"]) == (400, "event.invalid")
    assert not door.fetched


def test_a_missing_picture_is_found_before_the_others_are_fetched() -> None:
    door = Door()
    answer = door.send([*events(3), *events(1, key="uploads/none/original", first=3)])
    assert (answer.status_code, answer.json()["code"]) == (404, "input.not_found")
    assert not door.fetched


def test_a_picture_beyond_the_limit_is_found_before_the_others_are_fetched() -> None:
    door = Door(MAX_INPUT_BYTES="5000")
    door.pipeline.storage.put("uploads/large/original", bytes(5001), content_type="image/jpeg")
    answer = door.send([*events(3), *events(1, key="uploads/large/original", first=3)])
    assert (answer.status_code, answer.json()["code"]) == (413, "input.too_large")
    assert not door.fetched


def test_each_picture_of_a_batch_is_fetched_once() -> None:
    door = Door()
    door.pipeline.storage.put("uploads/other/original", PICTURE, content_type="image/jpeg")
    batch = [*events(40), *events(10, key="uploads/other/original", first=40)]
    assert door.send(batch).status_code == 202
    assert sorted(door.fetched) == sorted(door.looked_up) == [STORED, "uploads/other/original"]
    assert door.jobs == 50


def test_a_corrupt_picture_is_fetched_once_and_refuses_each_event_that_names_it() -> None:
    door = Door()
    door.pipeline.storage.put("uploads/bad/original", b"no picture", content_type="image/jpeg")
    answer = door.send([*events(2), *events(3, key="uploads/bad/original", first=2)])
    assert (answer.status_code, answer.json()["code"]) == (415, "input.unsupported")
    assert [verdict["verdict"] for verdict in answer.json()["events"]] == ["sound"] * 2 + ["refused"] * 3
    assert door.fetched.count("uploads/bad/original") == 1
    assert not door.jobs


def test_bytes_are_counted_where_their_rate_is_on() -> None:
    door = Door(RATE_LIMIT="100/minute", RATE_LIMIT_BYTES=f"{3 * len(PICTURE) + 2000}/hour")
    answers = [door.resize() for _ in range(4)]
    assert [answer.status_code for answer in answers] == [202] * 3 + [429]
    policy = f'"address-bytes";q={3 * len(PICTURE) + 2000};w=3600;qu="content-bytes"'
    assert set(answers[0].headers["ratelimit-policy"].split(", ")) == {'"address";q=100;w=60', policy}
    assert f'"address-bytes";r={2 * len(PICTURE) + 2000};' in answers[0].headers["ratelimit"]
    assert '"address";r=99;' in answers[0].headers["ratelimit"]
    assert "bytes in 3600 s" in answers[3].json()["detail"]
    assert door.jobs == 3


def test_pictures_in_storage_and_in_batches_are_counted_in_bytes_too() -> None:
    door = Door(RATE_LIMIT_BYTES=f"{2 * len(PICTURE)}/hour")
    body = {"parameters": {"width": 32}, "input": {"storage_key": STORED}}
    assert door.call("POST", "/api/v1/resize", json=body).status_code == 202
    # Two events, but one picture: it is fetched once.
    assert door.send(events(2)).status_code == 202
    door.fetched.clear()
    for refused in (door.call("POST", "/api/v1/resize", json=body), door.send(events(1, first=7))):
        assert (refused.status_code, refused.json()["code"]) == (429, "rate.limited")
    assert not door.fetched


def test_a_body_that_was_declared_too_long_for_what_is_left_is_not_read() -> None:
    door = Door(RATE_LIMIT_BYTES="5000/hour")
    read: list[None] = []

    async def body() -> Any:
        read.append(None)
        yield bytes(6000)

    headers = {"content-type": "image/jpeg", "content-length": "6000"}
    refused = door.call("POST", "/api/v1/resize?width=3", content=body(), headers=headers)
    assert refused.status_code == 429
    assert len(read) <= 1


def test_a_chunked_body_is_counted_before_it_is_stored() -> None:
    door = Door(RATE_LIMIT_BYTES="100/hour")

    async def body() -> Any:
        yield PICTURE

    before = door.pipeline.storage.keys
    refused = door.call("POST", "/api/v1/resize?width=3", content=body(), headers={"content-type": "image/jpeg"})
    assert (refused.status_code, refused.json()["code"]) == (429, "rate.limited")
    assert door.pipeline.storage.keys == before


def test_signed_uploads_are_counted_apart_from_the_jobs_that_use_them() -> None:
    door = Door(RATE_LIMIT="3/minute")
    uploads = [door.post("/api/v1/uploads") for _ in range(4)]
    assert [answer.status_code for answer in uploads] == [201] * 3 + [429]
    assert limits(uploads[0]) == ('"address-uploads";q=3;w=60', '"address-uploads";r=2;t=20')
    assert [door.resize().status_code for _ in range(4)] == [202] * 3 + [429]


@pytest.mark.parametrize("path", ["/", "/api/v1/events", "/api/v1/resize", "/api/v1/uploads"])
def test_wrong_keys_are_counted_by_address_on_every_path(path: str, tmp_path: Path) -> None:
    _, stored = make_key("ours")
    write_key_file(tmp_path / "keys.json", [stored])
    door = Door(RATE_LIMIT="3/minute", API_KEYS="on", API_KEYS_FILE=str(tmp_path / "keys.json"))
    batch = {"content-type": "application/cloudevents-batch+json"}
    guesses = [{"authorization": f"Bearer {make_key('guess')[0]}"} for _ in range(3)]
    statuses = [door.call("POST", path, content="[]", headers={**batch, **one}).status_code for one in (*guesses, {})]
    assert statuses == [401, 401, 401, 429]
