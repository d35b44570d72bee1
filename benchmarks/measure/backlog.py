"""Fills the queue: keys that submit many jobs for a small picture, and functions that stand still meanwhile.

What is posted to a running stack is half done by the time the last is accepted; only what is posted while nothing
renders is a backlog of a known size.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any

import httpx
import psutil

from darkroom.contract.job_types import job_type_named
from tests.stack import RunningStack

JOBS_PER_REQUEST = 100
"""The longest batch of events that ingest takes."""
LONGEST_HOLD_S = 5.0
"""Less than a lease, or workers would be taken for dead."""
BREATH_S = 0.2
PATIENCE_S = 60.0


class Submitter:
    """One API key, whose jobs are all for one picture that it has uploaded."""

    def __init__(self, stack: RunningStack, key: str, picture: bytes, *, width: int) -> None:
        self._url = f"{stack.addresses['api']}/api/v1"
        self._http = httpx.Client(headers={"authorization": f"Bearer {key}"}, timeout=PATIENCE_S)
        self._parameters = {"width": width}
        self._storage_key = self._upload(picture)

    def __enter__(self) -> Submitter:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._http.close()

    def submit(self, count: int) -> list[str]:
        """Submit at most JOBS_PER_REQUEST jobs in one request. Returns their ids."""
        answer = self._http.post(
            f"{self._url}/events",
            json=[self._event() for _ in range(count)],
            headers={"content-type": "application/cloudevents-batch+json"},
        )
        if answer.status_code != 202:
            raise RuntimeError(f"a batch was answered {answer.status_code}: {answer.text[:500]}")
        return [str(job["job_id"]) for job in answer.json()["jobs"]]

    def submit_one(self, job_type: str = "resize") -> httpx.Response:
        parameters = {"aspect": "1:1"} if job_type == "crop" else self._parameters
        body = {"parameters": parameters, "input": {"storage_key": self._storage_key}}
        return self._http.post(f"{self._url}/{job_type}", json=body)

    def job(self, job_id: str) -> dict[str, Any]:
        answer = self._http.get(f"{self._url}/jobs/{job_id}")
        answer.raise_for_status()
        job: dict[str, Any] = answer.json()
        return job

    def _upload(self, picture: bytes) -> str:
        signed = self._http.post(f"{self._url}/uploads").raise_for_status().json()
        upload: Mapping[str, Any] = signed["upload"]
        httpx.request(
            upload["method"], upload["url"], content=picture, headers=upload["headers"], timeout=PATIENCE_S
        ).raise_for_status()
        return str(signed["storage_key"])

    def _event(self) -> dict[str, Any]:
        return {
            "specversion": "1.0",
            "type": job_type_named("resize").event_type,
            "source": "/benchmark",
            "id": str(uuid.uuid4()),
            "data": {"parameters": self._parameters, "input": {"storage_key": self._storage_key}},
        }


class Held:
    """Keeps a function's processes stopped (SIGSTOP), also those that are started meanwhile."""

    def __init__(self, stack: RunningStack, service: str) -> None:
        self._stack = stack
        self._prefix = f"{service}-0"
        self._stopped: list[psutil.Process] = []
        self._since = 0.0

    def hold(self) -> None:
        """Stop the processes; call it again and again, for those that are new."""
        if not self._stopped:
            self._since = time.monotonic()
        for process in self._stack.descendants():
            with suppress(psutil.NoSuchProcess):
                # The local runtime gives a function's processes the name of their revision.
                if process not in self._stopped and process.name().startswith(self._prefix):
                    process.suspend()
                    self._stopped.append(process)
        if time.monotonic() - self._since > LONGEST_HOLD_S:
            self.let_go()
            time.sleep(BREATH_S)
            self.hold()

    def let_go(self) -> None:
        # The workers, which are younger, before their masters, which would notice their silence.
        while self._stopped:
            with suppress(psutil.NoSuchProcess):
                self._stopped.pop().resume()


@contextmanager
def held(stack: RunningStack, service: str = "resize") -> Iterator[Held]:
    holding = Held(stack, service)
    try:
        holding.hold()
        yield holding
    finally:
        holding.let_go()


def in_batches(count: int, *, keys: int = 1) -> Iterator[int]:
    """Yield the sizes of requests for `count` jobs, of which each key makes as many."""
    size = max(1, min(JOBS_PER_REQUEST, count // keys))
    for start in range(0, count, size):
        yield min(size, count - start)
