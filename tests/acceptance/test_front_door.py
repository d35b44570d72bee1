"""The front door of the running stack with its keys on: who is let in, what becomes of secrets, how clients fare."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
from redis import AuthenticationError, Redis

from darkroom.client import ApiError, Client
from darkroom.contract.limits import Limits
from darkroom.events.tracing import new_root
from darkroom.imaging import probe
from tests.collector import Collector, running_collector
from tests.stack import ROOT, RunningStack, eventually, running_stack


class Keys:
    """`darkroom keys`, as a person types it."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def run(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "darkroom.cli", "keys", *arguments, "--file", str(self.file)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    def create(self) -> str:
        return self.run("create", "--name", "test")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    made = Keys(tmp_path_factory.mktemp("keys") / "keys.json")
    made.create()
    return made


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with running_collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def guarded(keys: Keys, collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    folder, options = tmp_path_factory.mktemp("guarded"), ("--api-keys", str(keys.file))
    with running_stack(folder, *options, environment=collector.environment) as stack:
        yield stack


@pytest.fixture
def key(keys: Keys, guarded: RunningStack) -> str:
    """A new one, which the functions have seen."""
    made = keys.create()
    eventually(lambda: ask(guarded, "/api/v1/jobs", made).status_code == 200, within_s=5, what="the key is known")
    return made


def ask(stack: RunningStack, path: str, key: str | None, **headers: str) -> httpx.Response:
    if key is not None:
        headers["authorization"] = f"Bearer {key}"
    return httpx.get(f"{stack.addresses['api']}{path}", headers=headers, timeout=60)


def test_the_client_submits_waits_and_saves(guarded: RunningStack, key: str, photograph: bytes, tmp_path: Path) -> None:
    seen: list[str] = []
    with Client(guarded.addresses["api"], api_key=key) as darkroom:
        job = darkroom.submit(photograph, "resize", width=200, height=200, fit="cover")
        job.wait(progress=lambda state: seen.append(state.status.value))
        saved = job.save(tmp_path / "small.jpg")
        assert [state.job_id for state in darkroom.jobs()] == [job.job_id]
    facts = probe(saved.read_bytes(), Limits())
    assert (facts.width, facts.height) == (200, 200)
    assert seen[-1] == "completed"


def test_the_command_line_takes_its_key_from_the_environment(
    guarded: RunningStack, key: str, photograph: bytes, tmp_path: Path
) -> None:
    (tmp_path / "cat.jpg").write_bytes(photograph)
    command = [sys.executable, "-m", "darkroom.cli", "submit", str(tmp_path / "cat.jpg"), "resize", "--width", "100"]
    options = ["--url", guarded.addresses["api"], "-o", str(tmp_path / "small.jpg")]
    environment = {**os.environ, "DARKROOM_API_KEY": key}
    done = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert probe((tmp_path / "small.jpg").read_bytes(), Limits()).width == 100
    refused = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "auth.missing" in refused.stderr


def test_a_revoked_key_is_refused_within_a_second(guarded: RunningStack, keys: Keys, key: str) -> None:
    keys.run("revoke", key.split("_")[1])
    eventually(lambda: ask(guarded, "/api/v1/jobs", key).status_code == 401, within_s=1, what="the key is refused")
    with Client(guarded.addresses["api"], api_key=key) as darkroom, pytest.raises(ApiError) as refused:
        darkroom.submit(b"picture", "resize", width=1)
    assert refused.value.code == "auth.invalid"


@pytest.mark.parametrize("suffix", ["", "/events", "?wait=1"])
def test_anothers_job_does_not_exist(
    guarded: RunningStack, keys: Keys, key: str, photograph: bytes, suffix: str
) -> None:
    with Client(guarded.addresses["api"], api_key=key) as darkroom:
        job_id = darkroom.submit(photograph, "resize", width=10).job_id
    other, unknown = keys.create(), str(uuid4())
    eventually(lambda: ask(guarded, "/api/v1/jobs", other).status_code == 200, within_s=5, what="the key is known")
    same = {"x-request-id": "same"}
    theirs = ask(guarded, f"/api/v1/jobs/{job_id}{suffix}", other, **same)
    nobodys = ask(guarded, f"/api/v1/jobs/{unknown}{suffix}", other, **same)
    assert theirs.status_code == nobodys.status_code == 404
    assert theirs.content.replace(job_id.encode(), unknown.encode()) == nobodys.content
    assert set(theirs.headers) == set(nobodys.headers)


def test_events_stream_through_the_gateway_as_they_happen(guarded: RunningStack, key: str, photograph: bytes) -> None:
    with Client(guarded.addresses["api"], api_key=key) as darkroom:
        job_id = darkroom.submit(photograph, "crop", width=10, height=10).job_id
    answer = ask(guarded, f"/api/v1/jobs/{job_id}/events", key)
    names = [line.removeprefix("event: ") for line in answer.text.splitlines() if line.startswith("event: ")]
    assert names[-1] == "completed"
    assert answer.headers["content-type"].startswith("text/event-stream")


def test_no_secret_is_found_anywhere(guarded: RunningStack, key: str, photograph: bytes, collector: Collector) -> None:
    """A key, a password and a signed URL through every path and field, failing too; then everything is searched."""
    word = secrets.token_hex(12)
    canaries = {"key": key, "stranger": f"drk_{'a' * 12}_{word}{'k' * 14}", "password": f"pw{word}"}
    secrets_looked_for = [key[17:], f"{word}{'k' * 14}", f"pw{word}", f"sig{word}"]
    signed = f"http://user:pw{word}@s3/b/k?X-Amz-Credential=c&X-Amz-Signature=sig{word}"
    api = guarded.addresses["api"]
    answers: list[httpx.Response] = []
    for secret in (*canaries.values(), signed):
        hidden = f"password={secret}" if secret.startswith("pw") else secret
        answers += _send_everywhere(api, key, hidden, photograph)
    job_id = answers[0].json()["job_id"]
    assert answers[0].status_code == 202
    eventually(
        lambda: ask(guarded, f"/api/v1/jobs/{job_id}", key).json()["status"] == "completed", within_s=60, what="the job"
    )
    _wait_for_the_spans(guarded, collector)
    searched = {
        "traces": b"\n".join(collector.bodies),
        "answers": b"\n".join(answer.content + repr(answer.headers).encode() for answer in answers),
        "events": json.dumps(guarded.events()).encode(),
        "redis": _all_of_redis(guarded.addresses["redis"]),
        **{str(path): path.read_bytes() for path in guarded.data.rglob("*") if path.is_file() and path.stat().st_size},
    }
    assert b"[hidden]" in searched["answers"], "what was sent was shown, without its secrets"
    assert job_id.encode() in searched["traces"], "the traces were searched"
    assert b"request.answered" in b"".join(searched.values()), "the logs were searched"
    found = [(place, word) for place, text in searched.items() for word in secrets_looked_for if word.encode() in text]
    assert not found


def _send_everywhere(api: str, key: str, secret: str, picture: bytes) -> list[httpx.Response]:
    auth = {"authorization": f"Bearer {key}"}
    data = {"parameters": {"width": 10}, "input": {"storage_key": "uploads/x/original"}}
    event = {"specversion": "1.0", "id": secret, "source": "/s", "type": "dev.darkroom.resize.requested", "data": data}
    jpeg = {**auth, "content-type": "image/jpeg"}
    trace = {"traceparent": new_root(sampled=True).traceparent, "tracestate": f"a={secret}"}
    send: list[Callable[[httpx.Client], httpx.Response]] = [
        lambda c: c.post("/api/v1/resize?width=10", content=picture, headers={**jpeg, "idempotency-key": secret[:200]}),
        lambda c: c.post("/api/v1/resize?width=10", content=picture, headers={**jpeg, "x-request-id": secret[:120]}),
        lambda c: c.post("/api/v1/resize", params={"password": secret}, content=picture, headers=jpeg),
        lambda c: c.post("/api/v1/resize", params={"fit": secret}, content=picture, headers=jpeg),
        lambda c: c.post("/api/v1/resize", params={"width": 10}, content=secret.encode(), headers=jpeg),
        lambda c: c.post("/api/v1/crop", data={"api_key": secret}, files={"image": (secret, picture)}, headers=auth),
        lambda c: c.post("/api/v1/crop", json={**data, "token": secret}, headers=auth),
        lambda c: c.post("/api/v1/crop", json={**data, "input": {"storage_key": secret}}, headers=auth),
        lambda c: c.post("/api/v1/crop", content=secret, headers={**auth, "content-type": secret}),
        lambda c: c.post("/", json=event, headers={**auth, "content-type": "application/cloudevents+json"}),
        lambda c: c.post("/", json={**event, "subject": secret, "type": secret}, headers={**auth, **_STRUCTURED}),
        lambda c: c.post("/", json={**event, "source": secret, "x": 1.5}, headers={**auth, **_STRUCTURED}),
        lambda c: c.get("/api/v1/jobs", params={"cursor": secret}, headers=auth),
        lambda c: c.get("/api/v1/jobs", params={"access_token": secret}, headers=auth),
        lambda c: c.get(f"/api/v1/jobs/{secret.replace('/', '%2F').replace('?', '%3F')}", headers=auth),
        lambda c: c.get(f"/{secret.replace('/', '%2F').replace('?', '%3F')}", headers=auth),
        lambda c: c.get("/api/v1/jobs", headers={"authorization": f"Bearer {secret}"}),
        lambda c: c.get("/api/v1/jobs", headers={**auth, "traceparent": secret, "tracestate": f"a={secret}"}),
        lambda c: c.post("/api/v1/resize", params={"width": 10}, content=picture, headers={**jpeg, **trace}),
        lambda c: c.get("/api/v1/jobs", headers={"authorization": secret, "cookie": secret, "user-agent": secret}),
    ]
    with httpx.Client(base_url=api, timeout=60) as client:
        return [one(client) for one in send]


def _wait_for_the_spans(stack: RunningStack, collector: Collector) -> None:
    """Each function sends its spans in the order in which they end: once a later one is there, all are."""
    for method, path in (("GET", "/api/v1/jobs"), ("POST", "/api/v1/resize")):
        last = new_root(sampled=True)
        httpx.request(method, f"{stack.addresses['api']}{path}", headers=last.attributes(), timeout=60)
        eventually(partial(_has_trace, collector, last.trace_id), within_s=30, what=f"the span of {method} {path}")


def _has_trace(collector: Collector, trace_id: str) -> bool:
    return any(span.trace_id == trace_id for span in collector.spans())


_STRUCTURED = {"content-type": "application/cloudevents+json"}


def _all_of_redis(url: str) -> bytes:
    client: Redis = Redis.from_url(url)
    with client:
        return b"\n".join(key + (client.dump(key) or b"") for key in client.scan_iter("*", count=1000))


def test_health_does_not_wait_for_what_hangs(guarded: RunningStack) -> None:
    def check() -> None:
        assert httpx.get(f"{guarded.addresses['api']}/health/live", timeout=5).status_code == 200

    threads = [threading.Thread(target=check) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_schemathesis_finds_nothing(guarded: RunningStack, key: str, tmp_path: Path) -> None:
    """Every phase and every check, against the description that the running ingest serves."""
    tool = Path(sys.executable).with_name("schemathesis")
    command = [str(tool), "--config-file", str(ROOT / "tests/acceptance/schemathesis.toml"), "run"]
    command += [
        f"{guarded.addresses['api']}/openapi.json",
        "--checks",
        "all",
        "--header",
        f"Authorization: Bearer {key}",
    ]
    command += ["--max-examples", "40", "--seed", "20261123"]
    command += ["--header", f"Authorization: Bearer {key}", "--continue-on-failure", "--no-color"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "SCHEMATHESIS_HOOKS": str(ROOT / "tests/acceptance/schemathesis_hooks.py"),
    }
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, check=False)
    print(done.stdout[-1500:])  # noqa: T201 - the figures
    assert done.returncode == 0, done.stdout[-6000:]


def test_with_keys_on_the_servers_ask_for_a_password_that_nothing_shows(guarded: RunningStack) -> None:
    password = urlsplit(guarded.addresses["redis"]).password
    assert password
    assert urlsplit(guarded.addresses["nats"]).password == password
    stranger = Redis.from_url(guarded.addresses["redis"].replace(f":{password}@", ""))
    with stranger, pytest.raises(AuthenticationError):
        stranger.keys()
    shown = json.dumps([guarded.status(), guarded.events()]) + guarded.log.read_text()
    assert password not in shown
    assert password not in "".join(" ".join(process.cmdline()) for process in guarded.descendants())


def test_what_a_run_keeps_is_for_its_owner_only(guarded: RunningStack) -> None:
    # SeaweedFS gives its descriptions of volumes a mode of its own; nobody gets through the folder to them.
    assert (guarded.data / "s3").stat().st_mode & 0o077 == 0
    open_to_others = {
        str(path): oct(path.stat().st_mode)
        for path in guarded.data.rglob("*")
        if path.is_file() and path != guarded.log and path.suffix != ".vif" and path.stat().st_mode & 0o077
    }
    assert open_to_others == {}
