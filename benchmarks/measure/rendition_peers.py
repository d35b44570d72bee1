"""Runs the plain Celery and BullMQ workers, hands them jobs, and hears when these are done."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import count
from pathlib import Path

from redis.asyncio import Redis

from benchmarks.measure.closed_loop import Exchange
from benchmarks.measure.cpu_time import Family
from benchmarks.measure.rendition_engines import FIVE, QUALITY
from benchmarks.measure.thumbor_peer import S3
from darkroom.local.children import guard

DONE_CHANNEL = "benchmark:done"
PATIENCE_S = 120.0
_ROOT = Path(__file__).parents[2]
_BULLMQ = Path(__file__).with_name("renditions_bullmq.mjs")


@dataclass(frozen=True, kw_only=True)
class Peer:
    exchange: Exchange
    family: Family


class Done:
    """Which jobs the peers have done, by what they publish."""

    def __init__(self, redis_url: str) -> None:
        self._redis: Redis = Redis.from_url(redis_url, decode_responses=True)
        self._channel = self._redis.pubsub(ignore_subscribe_messages=True)
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._listener: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Done:
        await self._channel.subscribe(DONE_CHANNEL)
        self._listener = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._listener is not None:
            self._listener.cancel()
        await self._channel.aclose()  # type: ignore[no-untyped-call]
        await self._redis.aclose()

    def expect(self, job: str) -> asyncio.Future[None]:
        self._waiting[job] = asyncio.get_running_loop().create_future()
        return self._waiting[job]

    async def _listen(self) -> None:
        async for message in self._channel.listen():
            waiter = self._waiting.pop(message["data"], None)
            if waiter is not None and not waiter.done():
                waiter.set_result(None)


def has_celery() -> bool:
    return find_spec("celery") is not None


def has_bullmq(modules: Sequence[Path]) -> bool:
    return shutil.which("node") is not None and all(
        any((folder / name).is_dir() for folder in modules) for name in ("bullmq", "ioredis", "sharp", "@aws-sdk")
    )


@asynccontextmanager
async def celery_peer(redis_url: str, s3: S3, key: str, *, processes: int) -> AsyncIterator[Peer]:
    from benchmarks.measure.renditions_celery import DONE_CHANNEL as CHANNEL
    from benchmarks.measure.renditions_celery import TASK, app

    if CHANNEL != DONE_CHANNEL:
        raise RuntimeError(f"the worker publishes on {CHANNEL}")
    command = [sys.executable, "-m", "celery", "-A", "benchmarks.measure.renditions_celery", "worker"]
    options = [f"--concurrency={processes}", "--loglevel=warning", "-O", "fair"]
    options += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    async with AsyncExitStack() as resources:
        worker = resources.enter_context(_Child([*command, *options], _environment(redis_url, s3)))
        done = await resources.enter_async_context(Done(redis_url))
        # Not the application's own pool, which keeps the address of the first stack.
        broker = resources.enter_context(app.connection_for_write(redis_url))
        numbers = count()

        async def exchange() -> None:
            job = f"celery-{os.getpid()}-{next(numbers)}"
            ended = done.expect(job)
            app.send_task(TASK, args=[s3.bucket, key, job], connection=broker)
            async with asyncio.timeout(PATIENCE_S):
                await ended

        yield Peer(exchange=exchange, family=Family(pid=worker.pid, name="celery"))


@asynccontextmanager
async def bullmq_peer(
    redis_url: str, s3: S3, key: str, *, processes: int, modules: Sequence[Path]
) -> AsyncIterator[Peer]:
    environment = _environment(redis_url, s3) | {"PEER_MODULES": ":".join(str(one.parent) for one in modules)}
    node = [shutil.which("node") or "node", str(_BULLMQ)]
    async with AsyncExitStack() as resources:
        worker = resources.enter_context(_Child([*node, "workers", str(processes)], environment))
        producer = resources.enter_context(_Child([*node, "producer"], environment, takes_input=True))
        done = await resources.enter_async_context(Done(redis_url))
        numbers = count()

        async def exchange() -> None:
            job = f"bullmq-{os.getpid()}-{next(numbers)}"
            ended = done.expect(job)
            producer.write(f"{s3.bucket} {key} {job}\n")
            async with asyncio.timeout(PATIENCE_S):
                await ended

        yield Peer(exchange=exchange, family=Family(pid=worker.pid, name="bullmq"))


def _environment(redis_url: str, s3: S3) -> dict[str, str]:
    return {
        "PEER_REDIS": redis_url,
        "PEER_S3": s3.endpoint,
        "PEER_S3_KEY": s3.access_key,
        "PEER_S3_SECRET": s3.secret_key,
        "PEER_RENDITIONS": json.dumps(FIVE),
        "PEER_QUALITY": str(QUALITY),
    }


class _Child:
    """A process that ends with this one."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], *, takes_input: bool = False) -> None:
        self._command = [sys.executable, "-P", guard.__file__, str(os.getpid()), "group", *command]
        self._environment = {**os.environ, **environment}
        self._takes_input = takes_input
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> _Child:
        self._process = subprocess.Popen(
            self._command,
            cwd=_ROOT,
            env=self._environment,
            stdin=subprocess.PIPE if self._takes_input else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    @property
    def pid(self) -> int:
        return self._running.pid

    @property
    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise RuntimeError(f"{self._command} does not run")
        return self._process

    def write(self, text: str) -> None:
        if self._running.stdin is None:
            raise RuntimeError(f"{self._command} takes no input")
        self._running.stdin.write(text)
        self._running.stdin.flush()
