"""Pictures of more than one part: stored while they come, and gone if they are not accepted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from darkroom.adapters.storage import MIN_PART_BYTES
from darkroom.contract.errors import RateLimitedError, ServerBusyError
from darkroom.imaging.photograph import make_photograph
from darkroom.serving.auth import NOBODY
from darkroom.serving.testing import HttpClient, MemoryPipeline
from functions.ingest.app import build
from functions.ingest.in_flight import BytesInFlight

MAX_INPUT_BYTES = 4 * MIN_PART_BYTES
_SMALL = make_photograph(64, 48)


def picture(size_bytes: int) -> bytes:
    """A JPEG of about this size, most of it comments."""
    comment = b"\xff\xfe" + (60_002).to_bytes(2, "big") + b"." * 60_000
    return _SMALL[:2] + comment * (size_bytes // len(comment)) + _SMALL[2:]


LARGE = picture(2 * MIN_PART_BYTES + 1_000_000)


class LargeIngest(HttpClient):
    def __init__(self) -> None:
        pipeline = MemoryPipeline("ingest", settings={"MAX_INPUT_BYTES": str(MAX_INPUT_BYTES)})
        self.jobs, self.storage = pipeline.jobs, pipeline.storage
        super().__init__(build(pipeline.resources))

    def left(self) -> tuple[set[str], int, int]:
        """The keys in storage, uploads that were neither finished nor dropped, and jobs."""
        return self.storage.keys, len(self.storage.unfinished), sum(self.jobs.backlog().by_status.values())


@pytest.fixture
def ingest() -> LargeIngest:
    return LargeIngest()


def without_keepers(keys: set[str]) -> set[str]:
    return {key for key in keys if not key.endswith("/job.json")}


def raw(**headers: str) -> dict[str, str]:
    return {"content-type": "image/jpeg", **headers}


def test_a_large_picture_is_stored_as_it_came_by_each_way(ingest: LargeIngest) -> None:
    form = {"files": {"image": ("a.jpg", LARGE)}, "data": {"width": "32"}}
    for answer in (
        ingest.call("POST", "/api/v1/resize?width=32", content=LARGE, headers=raw()),
        ingest.call("POST", "/api/v1/resize", **form),
    ):
        assert answer.status_code == 202, answer.text
    keys, unfinished, jobs = ingest.left()
    originals = without_keepers(keys)
    assert (len(originals), unfinished, jobs) == (2, 0, 2)
    for key in originals:
        assert ingest.storage.get(key, max_bytes=MAX_INPUT_BYTES) == LARGE
        info = ingest.storage.info(key)
        assert info is not None
        assert (info.content_type, key.rpartition(".")[2]) == ("image/jpeg", "jpg")


def test_a_small_picture_is_one_request_to_storage(ingest: LargeIngest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest.storage, "begin_put", None)
    answer = ingest.call("POST", "/api/v1/resize?width=32", content=picture(1_000_000), headers=raw())
    assert answer.status_code == 202, answer.text


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (LARGE[: 2 * MIN_PART_BYTES], "image.truncated"),
        (picture(MAX_INPUT_BYTES + 100_000), "input.too_large"),
        (b"no picture" * 1_000_000, "input.unsupported"),
        (LARGE[:MIN_PART_BYTES] + b"\0" * MIN_PART_BYTES, "image.truncated"),
    ],
)
def test_a_large_picture_that_is_refused_leaves_nothing(ingest: LargeIngest, body: bytes, code: str) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 100_000):
            yield body[start : start + 100_000]

    answer = ingest.call("POST", "/api/v1/resize?width=32", content=chunks(), headers=raw())
    assert answer.json()["code"] == code
    assert ingest.left() == (set(), 0, 0)


def test_parameters_that_come_after_a_large_picture_are_checked_all_the_same(ingest: LargeIngest) -> None:
    parts = [("image", ("a.jpg", LARGE)), ("width", (None, "none"))]
    answer = ingest.call("POST", "/api/v1/resize", files=parts)
    assert answer.json()["code"] == "parameters.invalid"
    assert ingest.left() == (set(), 0, 0)


def test_what_is_asked_of_a_large_picture_is_checked(ingest: LargeIngest) -> None:
    answer = ingest.call("POST", "/api/v1/crop?x=60&y=0&width=32&height=10", content=LARGE, headers=raw())
    assert answer.json()["code"] == "crop.out_of_bounds"
    assert ingest.left() == (set(), 0, 0)


def test_a_large_picture_is_repeated_safely(ingest: LargeIngest) -> None:
    headers = raw(**{"idempotency-key": "one"})
    first, again, other = (
        ingest.call("POST", "/api/v1/resize?width=32", content=body, headers=headers)
        for body in (LARGE, LARGE, picture(3 * MIN_PART_BYTES))
    )
    assert first.json() == again.json()
    assert other.json()["code"] == "idempotency.mismatch"
    keys, unfinished, jobs = ingest.left()
    assert (len(without_keepers(keys)), unfinished, jobs) == (1, 0, 1)


def test_a_storage_that_fails_half_way_is_a_503_and_no_job(ingest: LargeIngest) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield LARGE[: MIN_PART_BYTES + 1]
        ingest.storage.is_down = True
        yield LARGE[MIN_PART_BYTES + 1 :]

    answer = ingest.call("POST", "/api/v1/resize?width=32", content=chunks(), headers=raw())
    assert (answer.status_code, answer.json()["code"]) == (503, "dependency.unavailable")
    assert ingest.left()[::2] == (set(), 0)


@pytest.mark.parametrize("until_bytes", [1_000, MIN_PART_BYTES + 1_000_000])
def test_a_body_that_drips_is_given_up_in_the_end(
    ingest: LargeIngest, monkeypatch: pytest.MonkeyPatch, until_bytes: int
) -> None:
    from functions.ingest import reading

    limits = reading.BODY_LIMITS
    monkeypatch.setattr(reading, "BODY_LIMITS", type(limits)(max_open=0, body_grace_s=0.3, min_bytes_per_s=10**9))

    async def chunks() -> AsyncIterator[bytes]:
        yield LARGE[:until_bytes]
        for byte in LARGE[until_bytes:]:
            await asyncio.sleep(0.02)
            yield bytes([byte])

    answer = ingest.call("POST", "/api/v1/resize?width=32", content=chunks(), headers=raw())
    assert (answer.status_code, answer.json()["code"]) == (408, "request.timeout")
    assert ingest.left() == (set(), 0, 0)


def test_bytes_in_flight_are_bounded_for_each_key_and_over_all() -> None:
    in_flight = BytesInFlight(max_bytes=100, max_key_bytes=60)
    one, two, nobody = in_flight.hold("one"), in_flight.hold("two"), in_flight.hold(NOBODY)
    one.take(60)
    with pytest.raises(RateLimitedError, match="60 bytes under way, the limit is 60"):
        one.take(1)
    two.take(40)
    with pytest.raises(ServerBusyError, match="100 bytes under way in this instance, the limit is 100"):
        nobody.take(1)
    one.give_back(10)
    nobody.take(10)
    for holding in (one, two, nobody):
        holding.release()
    assert in_flight.held_bytes == 0
    in_flight.hold("one").take(60)


def test_an_instance_that_is_full_says_when_to_come_back(ingest: LargeIngest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BytesInFlight, "_check", _refuse)
    for headers in (raw(), {"content-type": "application/cloudevents+json"}):
        answer = ingest.call("POST", "/", content=b"x" * 100, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (503, "server.busy")
        assert int(answer.headers["retry-after"]) > 0


def _refuse(_self: BytesInFlight, _owner: str, _size: int) -> None:
    raise ServerBusyError("full")
