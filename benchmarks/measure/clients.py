"""Clients that cost as little as possible, since they share the cores with the servers: kept connections, bare
responses.

`Endings` detects a job's end without costing the pipeline anything: it listens to the channel on which the job store
notifies its own waiters. The cost of real waiting is measured by another exchange, which requests `?wait=`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlencode, urlsplit

import aiohttp
import psycopg
from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from benchmarks.measure.closed_loop import Exchange
from darkroom.adapters.jobs.postgres.notices import CHANNEL
from darkroom.adapters.jobs.redis import CHANGES_CHANNEL
from darkroom.contract.jobs import JobStatus

PATIENCE_S = 60.0


class WrongAnswerError(Exception):
    pass


class Http:
    """One pool of kept connections."""

    def __init__(self, *, connections: int) -> None:
        connector = aiohttp.TCPConnector(limit=connections)
        self._session = aiohttp.ClientSession(
            connector=connector, auto_decompress=False, timeout=aiohttp.ClientTimeout(total=PATIENCE_S)
        )

    async def __aenter__(self) -> Http:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._session.close()

    async def ask(
        self, method: str, url: str, *, expect: int, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        async with self._session.request(method, url, data=body, headers=headers) as answer:
            said = await answer.read()
            if answer.status != expect:
                raise WrongAnswerError(f"{method} {urlsplit(url).path} was answered {answer.status}: {said[:500]!r}")
            return said


class Endings:
    """Which jobs have ended, according to the job store's channel."""

    def __init__(self, redis_url: str) -> None:
        self._redis: Redis = Redis.from_url(redis_url, decode_responses=True)
        self._channel: PubSub = self._redis.pubsub(ignore_subscribe_messages=True)
        self._waiting: dict[str, asyncio.Future[str]] = {}
        self.count = 0
        """Jobs that have ended, whoever submitted them."""
        self._early: dict[str, str] = {}
        """Jobs that ended before their client had read the response to its POST."""
        self._listener: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Endings:
        await self._channel.subscribe(CHANGES_CHANNEL)
        self._listener = asyncio.create_task(self._listen())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._listener is not None:
            self._listener.cancel()
        await self._channel.aclose()  # type: ignore[no-untyped-call]
        await self._redis.aclose()

    async def completed(self, job_id: str) -> None:
        """Wait for the job's completion. Raises WrongAnswerError when it failed, TimeoutError when no notice
        arrives.
        """
        status = self._early.pop(job_id, None)
        if status is None:
            future = self._waiting[job_id] = asyncio.get_running_loop().create_future()
            async with asyncio.timeout(PATIENCE_S):
                status = await future
        if status != JobStatus.COMPLETED:
            raise WrongAnswerError(f"job {job_id} ended as {status}")

    async def _listen(self) -> None:
        async for message in self._channel.listen():
            self._take(message["data"])

    def _take(self, notice: str) -> None:
        job_id, _, status = notice.partition(" ")
        if status not in {JobStatus.COMPLETED, JobStatus.FAILED}:
            return
        self.count += 1
        waiter = self._waiting.pop(job_id, None)
        if waiter is None:
            self._early[job_id] = status
        elif not waiter.done():
            waiter.set_result(status)


class PostgresEndings(Endings):
    """The same from PostgreSQL's channel, read from libpq as the notices come: psycopg's own loop over them takes a
    millisecond of CPU time for each job, which the pipeline would lack.
    """

    def __init__(self, postgres_url: str) -> None:
        self._url = postgres_url
        self._waiting, self._early, self.count = {}, {}, 0
        self._connection: psycopg.Connection[Any] | None = None

    async def __aenter__(self) -> PostgresEndings:
        self._connection = connection = psycopg.connect(self._url, autocommit=True)
        connection.execute(f"LISTEN {CHANNEL}")
        asyncio.get_running_loop().add_reader(connection.fileno(), self._read)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._connection is not None:
            asyncio.get_running_loop().remove_reader(self._connection.fileno())
            self._connection.close()

    def _read(self) -> None:
        if self._connection is None:
            raise RuntimeError("not connected")
        self._connection.pgconn.consume_input()
        while notice := self._connection.pgconn.notifies():
            self._take(notice.extra.decode())


class Pipeline:
    """Exchanges with a running stack; each is for a ClosedLoop."""

    def __init__(self, api: str, http: Http, endings: Endings, parameters: Mapping[str, Any]) -> None:
        self._api = api
        self._http = http
        self._endings = endings
        self._parameters = dict(parameters)

    def uploading(self, picture: bytes, content_type: str = "image/jpeg") -> Exchange:
        """POST the picture; the job's end is read from the store's channel."""

        async def exchange() -> None:
            await self._endings.completed(await self._upload(picture, content_type))

        return exchange

    def uploading_and_waiting(self, picture: bytes, content_type: str = "image/jpeg") -> Exchange:
        """POST the picture and wait for the job's end as clients do, through the API."""

        async def exchange() -> None:
            job_id = await self._upload(picture, content_type)
            said = await self._http.ask("GET", f"{self._api}/api/v1/jobs/{job_id}?wait=60", expect=200)
            status = json.loads(said)["status"]
            if status != JobStatus.COMPLETED:
                raise WrongAnswerError(f"job {job_id} is {status}")

        return exchange

    async def from_storage(self, picture: bytes) -> Exchange:
        """Submit a picture that is in storage already: from S3 to S3."""
        signed = json.loads(await self._http.ask("POST", f"{self._api}/api/v1/uploads", expect=201))
        upload = signed["upload"]
        await self._http.ask(upload["method"], upload["url"], body=picture, headers=upload["headers"], expect=200)
        body = json.dumps({"parameters": self._parameters, "input": {"storage_key": signed["storage_key"]}}).encode()
        headers = {"content-type": "application/json"}

        async def exchange() -> None:
            said = await self._http.ask("POST", f"{self._api}/api/v1/resize", body=body, headers=headers, expect=202)
            await self._endings.completed(json.loads(said)["job_id"])

        return exchange

    async def _upload(self, picture: bytes, content_type: str) -> str:
        said = await self._http.ask(
            "POST",
            f"{self._api}/api/v1/resize?{urlencode(self._parameters)}",
            body=picture,
            headers={"content-type": content_type},
            expect=202,
        )
        job_id: str = json.loads(said)["job_id"]
        return job_id


def rendering_by_thumbor(http: Http, url: str, size: tuple[int, int], source: str) -> Exchange:
    """Request a rendering. `source` may contain `{number}`, which is replaced by a number unique to the exchange."""
    width, height = size
    numbers = count()

    async def exchange() -> None:
        path = source.format(number=next(numbers))
        body = await http.ask("GET", f"{url}/unsafe/{width}x{height}/{path}", expect=200)
        if body[:2] != b"\xff\xd8":
            raise WrongAnswerError(f"thumbor's answer is no JPEG: {body[:40]!r}")

    return exchange


def written(picture: bytes, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture)
    return path
