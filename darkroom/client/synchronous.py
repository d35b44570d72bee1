"""The client for programs without an event loop."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import httpx

from darkroom.client import protocol
from darkroom.client.jobs import JobPage, JobState
from darkroom.client.protocol import Conversation, Lost, Picture, Progress, Reply, Retries, Send, Sleep
from darkroom.contract.picture_facts import PictureFacts

ResultT = TypeVar("ResultT")


class Job:
    """An accepted job. It will end as completed or failed, whether or not anybody waits."""

    def __init__(self, client: Client, job_id: str, state: JobState | None = None) -> None:
        self._client = client
        self.job_id = job_id
        self.state = state
        """The state when the job was last read."""

    def wait(self, *, timeout_s: float = 120.0, progress: Progress | None = None) -> Job:
        """Wait until the job has completed. Raises JobFailedError, StillRunningError, ApiError, NotAnsweringError."""
        self.state = self._client.wait(self.job_id, timeout_s=timeout_s, progress=progress)
        return self

    def download(self, name: str | None = None) -> bytes:
        """Return the result's bytes, by a newly signed URL; `name` is that of a rendition."""
        self.state = self._client.job(self.job_id)
        result = self.state.result if name is None else self.state.results[name]["result"]
        return self._client.download(result["url"])

    def save(self, path: str | Path) -> Path:
        Path(path).write_bytes(self.download())
        return Path(path)

    def save_all(self, folder: str | Path) -> list[Path]:
        """Save the renditions that were made as NAME.EXTENSION in a folder. Returns the files."""
        self.state = self._client.job(self.job_id)
        saved = []
        for name, result in self.state.made.items():
            file = Path(folder) / protocol.file_name(name, result)
            file.write_bytes(self._client.download(result["url"]))
            saved.append(file)
        return saved


class Client:
    """Safe to share between threads. Use it as a context manager, or call `close`."""

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        retries: Retries | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._retries = retries or Retries()
        self._http = httpx.Client(
            base_url=url,
            auth=protocol.auth(api_key),
            timeout=protocol.ANSWER_S,
            transport=transport,
            mounts=protocol.DIRECT,
        )

    def submit(self, picture: Picture, job_type: str, *, idempotency_key: str | None = None, **parameters: Any) -> Job:
        """Submit a picture: a path, bytes, a binary file, or `Stored` for one in storage. `preset=` names a preset.

        Repeated with the same idempotency key, within a day, it returns the first call's job.

        Raises ApiError and NotAnsweringError.
        """
        return Job(self, self._run(protocol.submit(picture, job_type, parameters, self._retries, idempotency_key)))

    def renditions(
        self,
        picture: Picture,
        renditions: Mapping[str, Any] | None = None,
        *,
        presets: Sequence[str] = (),
        idempotency_key: str | None = None,
        background: bool = False,
    ) -> Job:
        """Submit a picture of which several are made: by their names, each a preset or a type with parameters, and of
        each of the presets one of its name.

            face = {"type": "crop", "parameters": {"aspect": "1:1"}}
            darkroom.renditions("a.jpg", {"face": face}, presets=["thumb"])

        `background`: nobody waits for the job, which delays no other.

        Raises as `submit` does.
        """
        asked = protocol.asked_renditions(renditions, presets)
        send = protocol.submit(picture, "renditions", asked, self._retries, idempotency_key, background=background)
        return Job(self, self._run(send))

    def presets(self) -> list[dict[str, Any]]:
        """Return the presets as they are now: name, type, parameters and digest of each."""
        return self._run(protocol.presets(self._retries))

    def job(self, job_id: str, *, wait_s: float = 0.0) -> JobState:
        return self._run(protocol.job(job_id, self._retries, wait_s=wait_s))

    def wait(self, job_id: str, *, timeout_s: float = 120.0, progress: Progress | None = None) -> JobState:
        return self._run(protocol.wait(job_id, self._retries, timeout_s=timeout_s, progress=progress))

    def end_of(self, job_id: str, *, timeout_s: float = 120.0, progress: Progress | None = None) -> JobState:
        """Wait like `wait`, but also return a failed job."""
        return self._run(protocol.end_of(job_id, self._retries, timeout_s=timeout_s, progress=progress))

    def jobs(self, *, status: str | None = None, type: str | None = None, limit: int = 100) -> Iterator[JobState]:
        """Yield all of the caller's jobs, newest first, reading `limit` per page."""
        cursor: str | None = None
        while True:
            page = self.page(status=status, type=type, limit=limit, cursor=cursor)
            yield from page.jobs
            cursor = page.next_cursor
            if cursor is None:
                return

    def page(self, **query: Any) -> JobPage:
        return self._run(protocol.jobs(self._retries, query=query))

    def cancel(self, job_id: str) -> JobState:
        """Cancel a job that has not ended. Raises ApiError with `job.final` for one that has, and NotAnsweringError."""
        return self._run(protocol.cancel(job_id, self._retries))

    def erase(self, job_id: str) -> None:
        """Erase a job, its record and its pictures for good. Raises ApiError and NotAnsweringError."""
        self._run(protocol.erase(job_id, self._retries))

    def facts(self, storage_key: str) -> PictureFacts:
        """Return what the header of a stored picture says: format, upright size, frames, alpha, profile, bytes."""
        return self._run(protocol.facts(storage_key, self._retries))

    def download(self, url: str) -> bytes:
        return self._run(protocol.download(url, self._retries))

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _run(self, conversation: Conversation[ResultT]) -> ResultT:
        reply: Reply = None
        while True:
            try:
                step = conversation.send(reply)
            except StopIteration as done:
                result: ResultT = done.value
                return result
            reply = self._do(step)

    def _do(self, step: Send | Sleep) -> Reply:
        if isinstance(step, Sleep):
            time.sleep(step.seconds)
            return None
        try:
            return self._http.request(step.method, step.url, **step.options)
        except httpx.TransportError as exc:
            return Lost(reason=protocol.loss(exc))
