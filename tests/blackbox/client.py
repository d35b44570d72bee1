"""A client of any deployment: addresses and a key, and nothing but HTTP. Pictures are made and measured by hand."""

from __future__ import annotations

import struct
import time
import zlib
from dataclasses import dataclass
from typing import Any

import httpx

ENDS_WITHIN_S = 180.0
"""Cold starts, a queue, and the sweep that finds what the broker lost."""
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, kw_only=True)
class Deployment:
    url: str
    status_url: str
    """The same, unless reads have a host of their own."""
    api_key: str | None
    broker_url: str | None
    """Of the Broker's ingress, where one may post to it: http://HOST/NAMESPACE/BROKER."""
    metrics_url: str | None
    """Of a page of metrics, or of Prometheus."""

    def post(self, path: str, **arguments: Any) -> httpx.Response:
        return self._ask("POST", f"{self.url}{path}", **arguments)

    def get(self, path: str, **arguments: Any) -> httpx.Response:
        reads_jobs = path.startswith("/api/v1/jobs")
        return self._ask("GET", f"{self.status_url if reads_jobs else self.url}{path}", **arguments)

    def _ask(self, method: str, url: str, *, key: str | None = "ours", **arguments: Any) -> httpx.Response:
        """Waits when it is told that it asks too often, as a client should."""
        headers = dict(arguments.pop("headers", {}))
        if key is not None and self.api_key is not None:
            headers["Authorization"] = f"Bearer {self.api_key if key == 'ours' else key}"
        give_up_at = time.monotonic() + ENDS_WITHIN_S
        while True:
            answer = httpx.request(method, url, headers=headers, timeout=90, **arguments)
            if answer.status_code != 429 or time.monotonic() > give_up_at:
                return answer
            time.sleep(min(float(answer.headers.get("Retry-After", 1)), 60))

    # --- jobs ------------------------------------------------------------------------------------------------------

    def submit(self, kind: str, picture: bytes, *, headers: dict[str, str] | None = None, **parameters: Any) -> str:
        answer = self.post(
            f"/api/v1/{kind}",
            files={"image": ("picture.png", picture)},
            data={name: str(value) for name, value in parameters.items()},
            headers=headers or {},
        )
        return accepted(answer)

    def job(self, job_id: str, *, wait_s: float = 0) -> dict[str, Any]:
        answer = self.get(f"/api/v1/jobs/{job_id}", params={"wait": wait_s})
        assert answer.status_code == 200, answer.text
        job: dict[str, Any] = answer.json()
        return job

    def ended(self, job_id: str) -> dict[str, Any]:
        give_up_at = time.monotonic() + ENDS_WITHIN_S
        while (job := self.job(job_id, wait_s=30))["status"] not in {"completed", "failed"}:
            assert time.monotonic() < give_up_at, f"job {job_id} has not ended in {ENDS_WITHIN_S:g} s: {job}"
        return job

    def completed(self, job_id: str) -> dict[str, Any]:
        job = self.ended(job_id)
        assert job["status"] == "completed", job
        return job


def accepted(answer: httpx.Response) -> str:
    assert answer.status_code == 202, f"{answer.status_code} {answer.text}"
    document = answer.json()
    assert document["status"] == "queued"
    assert answer.headers["Location"] == f"/api/v1/jobs/{document['job_id']}"
    return str(document["job_id"])


def downloaded(job: dict[str, Any]) -> bytes:
    answer = httpx.get(job["result"]["url"], timeout=60)
    assert answer.status_code == 200, answer.text
    assert len(answer.content) == job["result"]["bytes"]
    return answer.content


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, f"{answer.status_code} {answer.text}"
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["code"] == code, document
    assert document["detail"]
    assert document["request_id"]
    return document


# --- pictures --------------------------------------------------------------------------------------------------------


def png(width: int, height: int) -> bytes:
    """A gradient, so that no two lines are alike."""
    lines = b"".join(
        b"\x00" + bytes(value for x in range(width) for value in (x % 256, y % 256, (x + y) % 256))
        for y in range(height)
    )
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return _PNG + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(lines)) + _chunk(b"IEND", b"")


def png_size(data: bytes) -> tuple[int, int]:
    assert data.startswith(_PNG)
    width, height = struct.unpack(">II", data[16:24])
    return int(width), int(height)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
