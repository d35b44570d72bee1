"""Job stores whose clock a test can turn, so that no test waits for a lease to run out."""

from __future__ import annotations

import uuid
from typing import Any, Protocol

import pytest
from redis import Redis

from darkroom.adapters.jobs import JobStore, Lease, NewJob
from darkroom.adapters.jobs.memory import MemoryJobStore
from darkroom.adapters.jobs.redis import RedisJobStore
from darkroom.contract.jobs import JobResult
from tests.contract.postgres_stores import PostgresJobStores

_INTO_THE_PAST = """
local milliseconds = -tonumber(ARGV[1])
for _, key in ipairs(redis.call('KEYS', 'darkroom:job:*')) do
  for _, field in ipairs({ 'created', 'started', 'finished', 'lease', 'claimed' }) do
    if redis.call('HEXISTS', key, field) == 1 then
      redis.call('HINCRBY', key, field, milliseconds)
    end
  end
end
for _, key in ipairs(redis.call('KEYS', 'darkroom:erasure:*')) do
  if redis.call('HEXISTS', key, 'again') == 1 then
    redis.call('HINCRBY', key, 'again', milliseconds)
  end
end
for _, pattern in ipairs({ 'deadlines', 'given-up', 'unfinished:*', 'owner:*', 'line:*', 'erasures',
  'webhooks:owed', 'webhooks:due:*', 'webhooks:sending:*', 'webhooks:given-up' }) do
  for _, key in ipairs(redis.call('KEYS', 'darkroom:' .. pattern)) do
    for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do
      redis.call('ZINCRBY', key, milliseconds, member)
    end
  end
end
local drained = {}
for _, key in ipairs(redis.call('KEYS', 'darkroom:drained:*')) do
  drained[tonumber(key:match('%d+$')) + math.floor(milliseconds / 10000)] = redis.call('DUMP', key)
  redis.call('DEL', key)
end
for step, counts in pairs(drained) do
  redis.call('RESTORE', 'darkroom:drained:' .. step, 0, counts)
end
"""


class JobStores(Protocol):
    """Makes stores of one kind that share their jobs' clock."""

    def make(self, **rules: Any) -> JobStore: ...

    def advance(self, seconds: float) -> None:
        """Let time pass for every job."""

    def close(self) -> None: ...


class MemoryJobStores:
    def __init__(self) -> None:
        self.now_s = 1_700_000_000.0

    def make(self, **rules: Any) -> MemoryJobStore:
        return MemoryJobStore(clock=lambda: self.now_s, **rules)

    def advance(self, seconds: float) -> None:
        self.now_s += seconds

    def close(self) -> None:
        pass


class RedisJobStores:
    """Redis' clock cannot be turned; moving every moment that is stored into the past comes to the same."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client: Redis = Redis.from_url(url, decode_responses=True)
        self.client.flushall()
        self._made: list[RedisJobStore] = []

    def make(self, **rules: Any) -> RedisJobStore:
        store = RedisJobStore(self.url, **rules)
        self._made.append(store)
        return store

    def advance(self, seconds: float) -> None:
        self.client.eval(_INTO_THE_PAST, 0, round(seconds * 1000))

    def close(self) -> None:
        for store in self._made:
            store.close()
        self.client.close()


STORES = ("memory", "redis", "postgres")


def stores_named(name: str, request: pytest.FixtureRequest) -> JobStores:
    """Empty ones, on this run's server of their kind."""
    if name == "memory":
        return MemoryJobStores()
    url: str = request.getfixturevalue(name).url
    if name == "redis":
        return RedisJobStores(url)
    return PostgresJobStores(url)


def new_job(**changes: Any) -> NewJob:
    job_id = uuid.uuid4()
    defaults: dict[str, Any] = {
        "job_id": job_id,
        "type": "resize",
        "owner": "key-1",
        "parameters": {"width": 400, "height": 300},
        "storage_key": f"uploads/{job_id}/original.jpg",
        "request_id": str(uuid.uuid4()),
        "fingerprint": "f" * 64,
    }
    return NewJob(**{**defaults, **changes})


def a_result(lease: Lease) -> JobResult:
    return JobResult(
        storage_key=f"processed/{lease.job_id}.jpg", content_type="image/jpeg", width=400, height=300, bytes=27272
    )
