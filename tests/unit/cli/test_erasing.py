"""`darkroom cancel` and `darkroom erase`, against a server with prepared answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tests.unit.cli.conftest import Darkroom

FIRST, SECOND = "11111111-0000-4000-8000-000000000001", "22222222-0000-4000-8000-000000000002"


class Api(ThreadingHTTPServer):
    """Has two jobs, of which the second has ended."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.erased: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Api

    def do_GET(self) -> None:
        self._answer(200, {"jobs": [{"job_id": job_id, "status": "queued"} for job_id in (FIRST, SECOND)]})

    def do_POST(self) -> None:
        if SECOND in self.path:
            self._answer(409, {"code": "job.final", "detail": "the job is completed already", "request_id": "r"})
        else:
            self._answer(200, {"job_id": FIRST, "status": "failed", "error": {"code": "job.cancelled"}})

    def do_DELETE(self) -> None:
        self.server.erased.append(self.path.rpartition("/")[2])
        self.send_response(204)
        self.end_headers()

    def _answer(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def api() -> Iterator[Api]:
    with Api() as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_job_is_cancelled_by_the_beginning_of_its_id(api: Api, darkroom: Darkroom) -> None:
    done = darkroom("cancel", "1111", "--url", api.url)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["error"]["code"] == "job.cancelled"


def test_a_job_that_has_ended_is_named_with_the_reason(api: Api, darkroom: Darkroom) -> None:
    done = darkroom("cancel", SECOND, "--url", api.url)
    assert done.exit_code == 1
    assert "the job is completed already" in done.stderr


def test_jobs_are_erased_once_each_when_it_is_confirmed(api: Api, darkroom: Darkroom) -> None:
    done = darkroom("erase", "1111", SECOND, FIRST, "--yes", "--url", api.url)
    assert done.exit_code == 0, done.output
    assert api.erased == [FIRST, SECOND]
    assert done.stdout.splitlines() == [f"{FIRST}: erased", f"{SECOND}: erased"]


def test_nothing_is_erased_where_nobody_can_be_asked(api: Api, darkroom: Darkroom) -> None:
    done = darkroom("erase", FIRST, "--url", api.url)
    assert done.exit_code == 1
    assert "--yes" in done.stderr
    assert api.erased == []


@pytest.mark.parametrize("ids", [("1111", "3333"), ("1111", "no id")])
def test_a_mistake_in_one_id_erases_nothing(api: Api, darkroom: Darkroom, ids: tuple[str, ...]) -> None:
    done = darkroom("erase", *ids, "--yes", "--url", api.url)
    assert done.exit_code == 1
    assert ids[1] in done.stderr
    assert api.erased == []
