"""The HTTP API as a command line needs it. Errors become messages that say what to do."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import httpx

POLL_WAIT_S = 20


class Api:
    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=httpx.Timeout(30, read=POLL_WAIT_S + 30))

    def submit(self, picture: Path, job_type: str, parameters: Mapping[str, Any]) -> str:
        """The accepted job's id."""
        with picture.open("rb") as file:
            fields = {name: str(value) for name, value in parameters.items()}
            answer = self._ask("POST", f"/api/v1/{job_type}", files={"image": (picture.name, file)}, data=fields)
        return str(answer["job_id"])

    def job(self, job_id: str, *, wait_s: float = 0) -> dict[str, Any]:
        return self._ask("GET", f"/api/v1/jobs/{job_id}", params={"wait": f"{wait_s:g}"} if wait_s else {})

    def follow(self, job_id: str, *, timeout_s: float) -> dict[str, Any]:
        """The job once it has ended. Raises click.ClickException when the time is up."""
        ends_at = time.monotonic() + timeout_s
        while True:
            left_s = ends_at - time.monotonic()
            job = self.job(job_id, wait_s=max(0.0, min(left_s, POLL_WAIT_S)))
            if job["status"] in {"completed", "failed"}:
                return job
            if left_s <= 0:
                raise click.ClickException(f"job {job_id} is still {job['status']} after {timeout_s:g} s")

    def download(self, url: str) -> bytes:
        answer = self._client.get(url)
        if answer.status_code != 200:
            raise click.ClickException(f"the signed URL answered {answer.status_code}")
        return answer.content

    def _ask(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        try:
            answer = self._client.request(method, path, **request)
        except httpx.TransportError as exc:
            raise click.ClickException(
                f"{self._client.base_url} does not answer ({exc}); is `darkroom up` running?"
            ) from exc
        if answer.is_success:
            document: dict[str, Any] = answer.json()
            return document
        raise click.ClickException(_told(answer))


def _told(answer: httpx.Response) -> str:
    """The problem document in one line; or the status, when something else than Darkroom answered."""
    try:
        problem = answer.json()
        return f"{problem['code']}: {problem['detail']} (request {problem['request_id']})"
    except (ValueError, KeyError, TypeError):
        return f"{answer.request.url} answered {answer.status_code}"
