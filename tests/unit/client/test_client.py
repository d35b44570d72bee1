"""The client against servers with prepared answers: retries, waiting, progress, errors; for both clients alike."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from darkroom.client import (
    ApiError,
    AsyncClient,
    Client,
    JobFailedError,
    JobUnreadableError,
    NotAnsweringError,
    StillRunningError,
)
from darkroom.client import protocol as client_protocol
from darkroom.client.protocol import Retries
from darkroom.contract.errors import UnknownJobTypeError
from tests.scripted_http import Reply, scripted_server

Handler = Callable[[httpx.Request], httpx.Response]
KEY = "drk_canarycanary_secretsecretsecret"


class Script:
    """Answers in order, repeating the last one; records the requests."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content, request=request)


class Blocking:
    """The synchronous client."""

    def run(self, script: Script, method: str, *arguments: Any, **options: Any) -> Any:
        with Client("http://api", api_key=KEY, retries=Retries(times=3), transport=httpx.MockTransport(script)) as made:
            return getattr(made, method)(*arguments, **options)


class Awaited:
    """The asynchronous one."""

    def run(self, script: Script, method: str, *arguments: Any, **options: Any) -> Any:
        async def call() -> Any:
            transport = httpx.MockTransport(script)
            async with AsyncClient("http://api", api_key=KEY, retries=Retries(times=3), transport=transport) as made:
                return await getattr(made, method)(*arguments, **options)

        return asyncio.run(call())


@pytest.fixture(params=[Blocking, Awaited])
def client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Blocking | Awaited:
    monkeypatch.setattr(client_protocol, "_FIRST_PAUSE_S", 0.001)
    kind: type[Blocking] | type[Awaited] = request.param
    return kind()


def job(status: str, **more: Any) -> httpx.Response:
    document = {"job_id": "j", "status": status, "timings_ms": {}, "attempts": 0, **more}
    return httpx.Response(200, json=document)


def refusal(status: int, code: str, **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"code": code, "detail": "why", "request_id": "r"}, headers=headers)


ACCEPTED = httpx.Response(202, json={"job_id": "j", "status": "queued"})
DONE = job("completed", result={"url": "http://storage/k?signed"})


def test_a_picture_is_sent_with_its_parameters_and_the_key(client: Blocking | Awaited) -> None:
    script = Script(ACCEPTED)
    made = client.run(script, "submit", b"picture", "resize", width=400, enlarge=True, height=None, gravity={"x": 0.5})
    assert made.job_id == "j"
    [request] = script.asked
    assert (request.method, request.url.path) == ("POST", "/api/v1/resize")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    for part in (b'name="width"\r\n\r\n400', b"\r\n\r\ntrue", b'{"x": 0.5}', b"\r\n\r\npicture"):
        assert part in request.content
    assert b"height" not in request.content


def test_renditions_that_nobody_waits_for_say_so(client: Blocking | Awaited) -> None:
    script = Script(ACCEPTED)
    for background in (False, True):
        client.run(script, "renditions", b"picture", presets=["thumb"], background=background)
    assert [request.headers.get("priority") for request in script.asked] == [None, "u=7"]


def test_a_post_that_is_sent_again_bears_the_same_idempotency_key(client: Blocking | Awaited) -> None:
    script = Script(httpx.ReadError("cut"), refusal(503, "dependency.unavailable"), ACCEPTED)
    assert client.run(script, "submit", b"picture", "crop", width=1, height=1).job_id == "j"
    assert len({request.headers["idempotency-key"] for request in script.asked}) == 1
    assert len(script.asked) == 3


def test_retry_after_is_honoured(client: Blocking | Awaited, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("darkroom.client.synchronous.time.sleep", slept.append)

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("darkroom.client.asynchronous.anyio.sleep", sleep)
    script = Script(refusal(429, "rate.limited", **{"retry-after": "7"}), refusal(503, "x"), DONE)
    client.run(script, "job", "j")
    assert slept[0] == 7
    assert slept[1] < 1


def test_a_wait_longer_than_the_patience_is_not_begun(client: Blocking | Awaited) -> None:
    script = Script(refusal(429, "rate.limited", **{"retry-after": "90"}))
    with pytest.raises(ApiError) as refused:
        client.run(script, "job", "j")
    assert refused.value.code == "rate.limited"
    assert len(script.asked) == 1


@pytest.mark.parametrize("status", [400, 401, 404, 413, 422, 500])
def test_an_error_that_a_retry_cannot_fix_is_raised_at_once(client: Blocking | Awaited, status: int) -> None:
    script = Script(refusal(status, "some.code"))
    with pytest.raises(ApiError) as refused:
        client.run(script, "job", "j")
    assert (refused.value.status, refused.value.code, refused.value.request_id) == (status, "some.code", "r")
    assert len(script.asked) == 1


@pytest.mark.parametrize(
    "answer", [httpx.ConnectError("refused"), httpx.Response(200, text="<html>"), httpx.Response(502)]
)
def test_a_response_that_is_not_darkrooms_is_reported(
    client: Blocking | Awaited, answer: httpx.Response | Exception
) -> None:
    with pytest.raises(NotAnsweringError) as refused:
        client.run(Script(answer), "job", "j")
    assert KEY not in str(refused.value)


def test_waiting_reports_each_status_and_ends_with_the_job(client: Blocking | Awaited) -> None:
    script = Script(job("queued"), job("processing"), job("processing"), DONE)
    seen: list[str] = []
    state = client.run(script, "wait", "j", progress=lambda state: seen.append(state.status.value))
    assert seen == ["queued", "processing", "completed"]
    assert state.result["url"] == "http://storage/k?signed"
    assert [request.url.params.get("wait") is not None for request in script.asked] == [False, True, True, True]


def test_a_failed_job_is_an_error_and_one_that_goes_on_another(client: Blocking | Awaited) -> None:
    failed = job("failed", error={"code": "image.corrupt", "message": "broken", "attempts": 1})
    with pytest.raises(JobFailedError, match=r"image\.corrupt: broken"):
        client.run(Script(failed), "wait", "j")
    assert client.run(Script(failed), "end_of", "j").error["code"] == "image.corrupt"
    with pytest.raises(StillRunningError, match="processing after 0"):
        client.run(Script(job("processing")), "wait", "j", timeout_s=0.01)


def test_the_storage_never_sees_the_key(client: Blocking | Awaited) -> None:
    script = Script(httpx.Response(200, content=b"result"))
    assert client.run(script, "download", "http://storage/k?signed") == b"result"
    assert "authorization" not in script.asked[0].headers


def test_all_pages_of_a_list_are_walked() -> None:
    pages = [
        httpx.Response(200, json={"jobs": [{"job_id": "a"}, {"job_id": "b"}], "next_cursor": "n"}),
        httpx.Response(200, json={"jobs": [], "next_cursor": "m"}),
        httpx.Response(200, json={"jobs": [{"job_id": "c"}]}),
    ]
    script = Script(*pages)
    with Client("http://api", transport=httpx.MockTransport(script)) as made:
        assert [state.job_id for state in made.jobs(status="failed", limit=2)] == ["a", "b", "c"]
    assert [request.url.params.get("cursor") for request in script.asked] == [None, "n", "m"]

    async def walk() -> list[str]:
        script = Script(*pages)
        async with AsyncClient("http://api", transport=httpx.MockTransport(script)) as made:
            return [state.job_id async for state in made.jobs()]

    assert asyncio.run(walk()) == ["a", "b", "c"]


def test_a_job_saves_its_result(tmp_path: Any) -> None:
    script = Script(ACCEPTED, DONE, DONE, httpx.Response(200, content=b"result"))
    with Client("http://api", transport=httpx.MockTransport(script)) as made:
        saved = made.submit(b"p", "resize", width=1).wait().save(tmp_path / "r.jpg")
    assert saved.read_bytes() == b"result"
    assert json.dumps(str(saved))


def test_an_unknown_type_of_job_is_refused_before_anything_is_sent(client: Blocking | Awaited) -> None:
    script = Script(ACCEPTED)
    with pytest.raises(UnknownJobTypeError, match="did you mean 'crop'"):
        client.run(script, "submit", b"picture", "cropp", width=10)
    assert script.asked == []


@pytest.mark.parametrize("method", ["submit", "job", "page"])
@pytest.mark.parametrize("body", ["[]", "3", "{}", '"text"', "<html>"])
def test_an_answer_of_another_server_is_no_answer(client: Blocking | Awaited, body: str, method: str) -> None:
    script = Script(httpx.Response(200, content=body))
    arguments = {"submit": (b"picture", "resize"), "job": ("j",), "page": ()}[method]
    with pytest.raises(NotAnsweringError):
        client.run(script, method, *arguments)


def test_a_status_of_another_version_is_an_error_of_its_own(client: Blocking | Awaited) -> None:
    unreadable = job("unreadable", error={"code": "job.unreadable", "message": "of another version", "attempts": 0})
    with pytest.raises(JobUnreadableError, match="of another version"):
        client.run(Script(unreadable), "wait", "j", timeout_s=30)
    with pytest.raises(JobUnreadableError, match="'paused'"):
        client.run(Script(job("paused")), "wait", "j", timeout_s=30)


def test_a_wait_asks_for_no_longer_than_its_time(client: Blocking | Awaited) -> None:
    # The server is silent: the time for its answer is what is left of the caller's, not the default half minute.
    script = Script(job("processing"), httpx.ReadTimeout("timed out"))
    with pytest.raises((StillRunningError, NotAnsweringError)):
        client.run(script, "end_of", "j", timeout_s=0.05)
    for request in script.asked:
        assert request.extensions["timeout"]["read"] <= 0.05 + 0.05 + 0.5


def test_loopback_is_never_asked_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with scripted_server(Reply(status=200, body=b'{"job_id": "j", "status": "queued"}')) as server:
        with Client(server.url, retries=Retries(times=0)) as darkroom:
            assert darkroom.job("j").status == "queued"

        async def ask() -> str:
            async with AsyncClient(server.url, retries=Retries(times=0)) as darkroom:
                return (await darkroom.job("j")).status

        assert asyncio.run(ask()) == "queued"
    with Client("http://darkroom.example", retries=Retries(times=0)) as darkroom, pytest.raises(NotAnsweringError):
        # Elsewhere the proxy is used, and it is not there.
        darkroom.job("j")


def test_facts_are_read_and_what_a_newer_server_adds_is_left_out(client: Blocking | Awaited) -> None:
    document = {
        "storage_key": "uploads/a/original", "format": "jpeg", "content_type": "image/jpeg", "width": 30, "height": 20,
        "frames": 1, "has_alpha": False, "has_profile": True, "orientation": 6, "bits": 8, "lossless": False,
        "palette_colours": 0, "bytes": 1234,
    }  # fmt: skip
    script = Script(httpx.Response(200, json={**document, "colourfulness": 3}))
    assert client.run(script, "facts", "uploads/a/original").model_dump(mode="json") == document
    assert str(script.asked[0].url) == "http://api/api/v1/facts?storage_key=uploads%2Fa%2Foriginal"


def test_the_facts_of_a_picture_that_is_not_there_are_an_error(client: Blocking | Awaited) -> None:
    with pytest.raises(ApiError, match=r"input\.not_found"):
        client.run(Script(refusal(404, "input.not_found")), "facts", "uploads/none")


# --- cancelling and erasing


def test_a_job_is_cancelled(client: Blocking | Awaited) -> None:
    script = Script(job("failed", error={"code": "job.cancelled", "message": "m", "attempts": 0}))
    state = client.run(script, "cancel", "j")
    assert (state.status, state.error["code"]) == ("failed", "job.cancelled")
    [request] = script.asked
    assert (request.method, request.url.path) == ("POST", "/api/v1/jobs/j/cancel")
    assert request.headers["authorization"] == f"Bearer {KEY}"


def test_a_job_that_has_ended_is_told_so(client: Blocking | Awaited) -> None:
    with pytest.raises(ApiError) as raised:
        client.run(Script(refusal(409, "job.final")), "cancel", "j")
    assert (raised.value.status, raised.value.code) == (409, "job.final")


def test_a_job_is_erased_whatever_is_lost_on_the_way(client: Blocking | Awaited) -> None:
    script = Script(httpx.ConnectError("lost"), refusal(503, "dependency.unavailable"), httpx.Response(204))
    assert client.run(script, "erase", "j") is None
    assert {(request.method, request.url.path) for request in script.asked} == {("DELETE", "/api/v1/jobs/j")}
    assert len(script.asked) == 3


def test_what_is_not_erased_raises(client: Blocking | Awaited) -> None:
    with pytest.raises(ApiError, match="why"):
        client.run(Script(refusal(404, "job.not_found")), "erase", "j")
    with pytest.raises(NotAnsweringError, match="not Darkroom's API"):
        client.run(Script(httpx.Response(200, json={})), "erase", "j")
