"""Fills a job store with finished jobs by its own transitions: each is accepted, claimed and completed."""

from __future__ import annotations

import multiprocessing
import os
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from redis import Redis

from darkroom.adapters.jobs import Lease, NewJob
from darkroom.adapters.jobs.redis import RedisJobStore
from darkroom.adapters.jobs.times import JobTimes
from darkroom.contract.jobs import JobResult

_AT_ONCE = 50


@dataclass(frozen=True, kw_only=True)
class Memory:
    used_bytes: int
    max_bytes: int

    @property
    def share(self) -> float:
        return self.used_bytes / self.max_bytes


def memory_of(redis: Redis) -> Memory:
    """Read what the collector of a cluster reads too."""
    found = redis.info("memory")
    if not isinstance(found, dict):
        raise TypeError(f"INFO answered {found!r}")
    return Memory(used_bytes=int(found["used_memory"]), max_bytes=int(found["maxmemory"]))


class Filler:
    """Several processes, since a store is faster than one that calls it."""

    def __init__(self, redis_url: str, owner: str, pool: ProcessPoolExecutor, processes: int) -> None:
        self._redis_url = redis_url
        self._owner = owner
        self._pool = pool
        self._processes = processes

    def finish(self, jobs: int, *, kept_s: float | None) -> None:
        """Make so many finished jobs, whose records expire after `kept_s`; None: never."""
        share = -(-jobs // self._processes)
        work = partial(finish_jobs, self._redis_url, self._owner, kept_s=kept_s)
        list(self._pool.map(work, [share] * self._processes))

    def rate(self, *, jobs: int = 400) -> float:
        """Return jobs per second, as seen with so many. Their records expire after a second."""
        self.finish(self._processes, kept_s=1.0)
        began = time.monotonic()
        self.finish(jobs, kept_s=1.0)
        return jobs / (time.monotonic() - began)


@contextmanager
def filler(redis_url: str, owner: str) -> Iterator[Filler]:
    processes = os.cpu_count() or 1
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield Filler(redis_url, owner, pool, processes)


def finish_jobs(redis_url: str, owner: str, jobs: int, *, kept_s: float | None) -> None:
    store = RedisJobStore(redis_url, times=JobTimes(final_kept_s=kept_s))
    try:
        for start in range(0, jobs, _AT_ONCE):
            accepted = store.accept_many([_new_job(owner) for _ in range(min(_AT_ONCE, jobs - start))])
            for each in accepted:
                lease = store.claim(each.record.job_id, worker="benchmark:1:0")
                if not isinstance(lease, Lease):
                    raise RuntimeError(f"a new job could not be claimed: {lease}")
                store.complete(lease, _result(lease.job_id), {"queued": 31, "fetch": 5, "render": 61, "store": 7})
    finally:
        store.close()


def _new_job(owner: str) -> NewJob:
    job_id = uuid.uuid4()
    return NewJob(
        job_id=job_id,
        type="resize",
        owner=owner,
        parameters={"width": 400, "height": 300},
        storage_key=f"uploads/{job_id}/original.jpg",
        request_id=str(uuid.uuid4()),
        fingerprint=uuid.uuid4().hex * 2,
        trace=f"00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-01",
    )


def _result(job_id: uuid.UUID) -> JobResult:
    return JobResult(
        storage_key=f"processed/{job_id}.jpg", content_type="image/jpeg", width=400, height=300, bytes=27_272
    )
