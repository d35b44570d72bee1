"""A `darkroom up` of its own for tests: a real process on free ports, with its data in a folder that is thrown away."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

ROOT = Path(__file__).parent.parent
READY_WITHIN_S = 60.0
STOPPED_WITHIN_S = 40.0

_SERVICE = """
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {{name: {name}}}
spec:
  template:
    spec:
      containers:
        - image: dev.local/function
          env:
            - {{name: FUNCTION_TARGET, value: handle}}
            - {{name: FUNCTION_SOURCE, value: main.py}}
"""

Found = TypeVar("Found")

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def eventually(look: Callable[[], Found | None], *, within_s: float, what: str) -> Found:
    """What `look` finds as soon as it finds something truthy; fails the test when the time is up."""
    ends_at = time.monotonic() + within_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > ends_at:
            raise AssertionError(f"not within {within_s:g} s: {what}; last seen: {found!r}")
        time.sleep(0.05)


@dataclass
class RunningStack:
    data: Path
    options: tuple[str, ...] = ()
    cwd: Path = ROOT
    verbose: bool = True
    """Its log shows every picture's events, which costs processor time."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Besides the tests' own."""
    program: tuple[str, ...] = (sys.executable, "-m", "darkroom.cli")
    process: subprocess.Popen[bytes] | None = None
    addresses: dict[str, str] = field(default_factory=dict)

    # --- its life ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        # That of a stack that was killed would be taken for this one's.
        (self.data / "runtime.json").unlink(missing_ok=True)
        command = [*self.program, "up", "--free-ports", "--no-watch"]
        if self.verbose:
            command.append("--verbose")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--data", str(self.data), *self.options],
                cwd=self.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "COLUMNS": "400", **self.environment},
                start_new_session=True,
                preexec_fn=_die_with_the_tests,
            )
        eventually(self._is_up, within_s=READY_WITHIN_S, what=f"the stack is up, see {self.log}")

    def _is_up(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the stack did not start:\n{self.log.read_text()[-4000:]}"
        runtime = self.data / "runtime.json"
        if not runtime.exists():
            return False
        self.addresses = json.loads(runtime.read_text())["addresses"]
        return True

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(timeout=STOPPED_WITHIN_S)
        finally:
            self.kill()

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    @property
    def log(self) -> Path:
        return self.data / "up.log"

    def descendants(self) -> list[psutil.Process]:
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    # --- what it says of itself ------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = httpx.get(f"{self.addresses['admin']}/status", timeout=20).json()
        return status

    def function(self, service: str) -> dict[str, Any]:
        return next(row for row in self.status()["functions"] if row["service"] == service)

    def trigger(self, name: str) -> dict[str, Any]:
        return next(row for row in self.status()["triggers"] if row["trigger"] == name)

    def server_pid(self, name: str) -> int:
        return int(next(row for row in self.status()["servers"] if row["name"] == name)["pid"])

    def events(self, *, since: int = 0, action: str = "") -> list[dict[str, Any]]:
        answer = httpx.get(f"{self.addresses['admin']}/events", params={"since": since}, timeout=20)
        return [event for event in answer.json() if not action or event["action"] == action]

    def now(self) -> int:
        """The number of the latest event, for `events(since=...)`."""
        return max((event["number"] for event in self.events()), default=0)

    # --- what a client does ------------------------------------------------------------------------------------------

    def post(self, job_type: str, picture: bytes, **parameters: Any) -> httpx.Response:
        fields = {name: str(value) for name, value in parameters.items()}
        return httpx.post(
            f"{self.addresses['api']}/api/v1/{job_type}",
            files={"image": ("picture.jpg", picture)},
            data=fields,
            timeout=60,
        )

    def submit(self, job_type: str, picture: bytes, **parameters: Any) -> str:
        answer = self.post(job_type, picture, **parameters)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job_id"])

    def submit_many(self, count: int, job_type: str, picture: bytes, **parameters: Any) -> list[str]:
        with ThreadPoolExecutor(max_workers=20) as threads:
            return list(threads.map(lambda _: self.submit(job_type, picture, **parameters), range(count)))

    def job(self, job_id: str, *, wait_s: float = 0) -> dict[str, Any]:
        answer = httpx.get(
            f"{self.addresses['api']}/api/v1/jobs/{job_id}", params={"wait": wait_s}, timeout=wait_s + 60
        )
        assert answer.status_code == 200, answer.text
        job: dict[str, Any] = answer.json()
        return job

    def claimed(self, job_id: str, *, within_s: float = 30) -> None:
        """Sees the job under way: it should take seconds, or it may end between two looks, which fails the test."""

        def look() -> bool:
            job = self.job(job_id)
            assert job["status"] not in {"completed", "failed"}, f"ended before it was seen under way: {job}"
            return bool(job["status"] == "processing")

        eventually(look, within_s=within_s, what=f"job {job_id} is claimed")

    def ended(self, job_id: str, *, within_s: float = 60) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            job = self.job(job_id, wait_s=5)
            return job if job["status"] in {"completed", "failed"} else None

        return eventually(look, within_s=within_s, what=f"job {job_id} ends")

    def completed(self, job_id: str, *, within_s: float = 60) -> dict[str, Any]:
        job = self.ended(job_id, within_s=within_s)
        assert job["status"] == "completed", job
        return job

    def download(self, job: Mapping[str, Any]) -> bytes:
        answer = httpx.get(job["result"]["url"], timeout=20)
        assert answer.status_code == 200, answer.text
        return answer.content


@contextmanager
def running_stack(
    data: Path,
    *options: str,
    cwd: Path = ROOT,
    verbose: bool = True,
    environment: Mapping[str, str] | None = None,
) -> Iterator[RunningStack]:
    stack = RunningStack(data=data, options=options, cwd=cwd, verbose=verbose, environment=environment or {})
    try:
        stack.start()
        yield stack
    finally:
        stack.kill()


def refused_up(cwd: Path, *options: str, environment: Mapping[str, str] | None = None) -> str:
    """Return what a `darkroom up` that does not start says. It has to be sentences."""
    done = subprocess.run(
        [sys.executable, "-m", "darkroom.cli", "up", "--free-ports", *options],
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done.stderr


def write_function(folder: Path, name: str, main: str) -> None:
    """Write a project of one Service, whose function `handle` is in `main`."""
    (folder / "main.py").write_text(main)
    (folder / "service.yaml").write_text(_SERVICE.format(name=name))


def made_api_key(file: Path) -> str:
    """A new key, which the functions that are given this file ask for."""
    command = [sys.executable, "-m", "darkroom.cli", "keys", "create", "--name", "tests", "--file", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return next(word for word in done.stdout.split() if word.startswith("drk_"))


def _die_with_the_tests() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
