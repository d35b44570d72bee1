"""Webhooks as users have them: `darkroom up`, `darkroom webhooks`, and receivers that misbehave."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

import httpx
import pytest
from standardwebhooks import Webhook

from darkroom.adapters.jobs.redis import RedisJobStore
from darkroom.contract import metrics
from darkroom.contract.parameters.values import Format
from tests.faults.faulty_stack import edit
from tests.listener import listening
from tests.pictures import photo
from tests.stack import ROOT, RunningStack, eventually, running_stack

ENDS = 200
RETRY_DELAYS = ",".join(["2s", "4s", *["8s"] * 3, *["20s"] * 15])
"""Short at first, so that what is mended is soon told; long in all, so that nothing is given up on a slow machine."""
ALLOWED = "127.0.0.0/8"


@dataclass
class Receiver:
    """An endpoint: first it misbehaves, then it takes what it gets."""

    path: str
    status: int = 204
    hangs: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    tries: int = 0
    taken: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)
    is_mended: threading.Event = field(default_factory=threading.Event)

    def take(self, headers: Mapping[str, str], body: bytes) -> tuple[int, Mapping[str, str]]:
        self.tries += 1
        if self.is_mended.is_set():
            self.taken.append((headers, body))
            return 204, {}
        if self.hangs:
            # Longer than a try may last.
            self.is_mended.wait(60)
            return 500, {}
        return self.status, self.headers


class Server:
    """Receivers at one port, where at first nobody listens if `is_down`."""

    def __init__(self, *receivers: Receiver, is_down: bool = False) -> None:
        by_path = {receiver.path: receiver for receiver in receivers}

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status, headers = by_path[self.path].take(dict(self.headers.items()), body)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:
                """Nothing to the terminal."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self._server.daemon_threads = True
        self._server.request_queue_size = 128
        self._server.server_bind()
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        if not is_down:
            self.listen()

    def listen(self) -> None:
        self._server.server_activate()
        self._thread.start()

    def url(self, receiver: Receiver) -> str:
        return f"http://127.0.0.1:{self._server.server_port}{receiver.path}"

    def close(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


@contextmanager
def serving(*receivers: Receiver, is_down: bool = False) -> Iterator[Server]:
    server = Server(*receivers, is_down=is_down)
    try:
        yield server
    finally:
        for receiver in receivers:
            receiver.is_mended.set()
        server.close()


def darkroom(stack: RunningStack, *arguments: str) -> str:
    data = stack.data
    files = ("--file", str(data / "webhooks.json"), "--secrets-file", str(data / "webhook-secrets.json"))
    command = [sys.executable, "-m", "darkroom.cli", "webhooks", *arguments, *files]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def created(stack: RunningStack, url: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(darkroom(stack, "create", "--url", url, "--allow-private", ALLOWED, "--json"))
    return made


def owed(stack: RunningStack) -> int:
    return reading(stack, metrics.WEBHOOKS_OWED.prometheus_name)


def reading(stack: RunningStack, name: str) -> int:
    lines = httpx.get(f"{stack.addresses['admin']}/metrics", timeout=20).text.splitlines()
    values = [line.rpartition(" ")[2] for line in lines if line.partition(" ")[0].partition("{")[0] == name]
    return round(sum(map(float, values)))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    folder = tmp_path_factory.mktemp("webhooks")
    for name in ("knative", "nats-eventing"):
        shutil.copytree(ROOT / name, folder / name)
    edit(folder / "knative/base/settings.yaml", "5s,5m,25m,30m,2h,5h,10h,10h", RETRY_DELAYS)
    edit(folder / "knative/base/sweep.yaml", '"*/15 * * * * *"', '"*/3 * * * * *"')
    manifests = [option for name in ("knative/base", "nats-eventing") for option in ("--manifests", str(folder / name))]
    with running_stack(folder / "data", "--webhook-allow-private", ALLOWED, *manifests, verbose=False) as running:
        yield running


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_end_is_told_once_its_endpoint_is_back_and_nobody_inside_is_reached(stack: RunningStack) -> None:
    picture = photo(Format.JPEG, 64, 48)
    stack.completed(stack.submit("resize", picture, width=16))
    assert stack.function("notify")["ready"] == 0, "it runs although nobody is to be told"

    with listening() as forbidden:
        inside = {"Location": f"http://{forbidden.address}/latest/meta-data/"}
        slow, failing = Receiver("/slow", hangs=True), Receiver("/failing", status=500)
        redirecting, down = Receiver("/redirecting", status=307, headers=inside), Receiver("/down")
        with serving(slow, failing, redirecting) as server, serving(down, is_down=True) as down_server:
            receivers = [slow, failing, redirecting, down]
            urls = [server.url(slow), server.url(failing), server.url(redirecting), down_server.url(down)]
            secrets = [created(stack, url)["secret"] for url in urls]
            eventually(lambda: _is_told_of(stack, picture, len(urls)), within_s=60, what="ingest has the endpoints")
            jobs = set(stack.submit_many(ENDS, "resize", picture, width=16))
            for job_id in jobs:
                stack.completed(job_id, within_s=240)
            misbehaving = (slow, failing, redirecting)
            eventually(lambda: all(one.tries for one in misbehaving), within_s=120, what="each endpoint is tried")
            assert owed(stack) >= len(receivers) * ENDS, "an end is lost, or taken for told"

            down_server.listen()
            for receiver in receivers:
                receiver.is_mended.set()
            eventually(lambda: owed(stack) == 0, within_s=300, what="every endpoint is told of every end")

            for receiver, secret in zip(receivers, secrets, strict=True):
                ids = _verified_ids(receiver, secret)
                assert ids.keys() >= jobs, f"{receiver.path} was not told of every end"
                assert all(len(of_job) == 1 for of_job in ids.values()), "one end had several ids"
        assert not forbidden.was_connected_to(), "a redirect was followed"
    assert reading(stack, metrics.WEBHOOKS_SENT.prometheus_name) >= len(receivers) * ENDS
    assert reading(stack, metrics.WEBHOOKS_GIVEN_UP.prometheus_name) == 0


def _is_told_of(stack: RunningStack, picture: bytes, endpoints: int) -> bool:
    """Whether a new job has all the endpoints. None of them takes anything yet, so all is still owed."""
    job_id = stack.submit("resize", picture, width=16)
    stack.completed(job_id)
    store = RedisJobStore(stack.addresses["redis"])
    try:
        return len(store.owed.of_job(UUID(job_id))) == endpoints
    finally:
        store.close()


def _verified_ids(receiver: Receiver, secret: str) -> dict[str, set[str]]:
    """The webhook ids by job, of messages that the library verifies."""
    found: dict[str, set[str]] = {}
    for headers, body in receiver.taken:
        job = Webhook(secret).verify(body, dict(headers))
        assert job["status"] == "completed"
        found.setdefault(job["job_id"], set()).add({k.lower(): v for k, v in headers.items()}["webhook-id"])
    return found
