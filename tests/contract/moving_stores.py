"""Job stores that are being moved from Redis to PostgreSQL, whose clocks a test can turn."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from darkroom.adapters.jobs.moving.source import Left, RedisSource
from darkroom.adapters.jobs.moving.store import MovingJobStore
from tests.contract.job_stores import RedisJobStores
from tests.contract.postgres_stores import PostgresJobStores

_INTO_THE_PAST = """
local milliseconds = -tonumber(ARGV[1])
for _, key in ipairs(redis.call('KEYS', 'darkroom:moving:*')) do
  for _, field in ipairs({ 'created', 'started', 'finished', 'lease', 'claimed', '>key_until' }) do
    if redis.call('HEXISTS', key, field) == 1 then
      redis.call('HINCRBY', key, field, milliseconds)
    end
  end
  for _, field in ipairs({ '>due', '>given_up' }) do
    if redis.call('HEXISTS', key, field) == 1 then
      redis.call('HINCRBYFLOAT', key, field, milliseconds)
    end
  end
end
"""


class MovingJobStores:
    def __init__(self, redis_url: str, postgres_url: str) -> None:
        self.old = RedisJobStores(redis_url)
        self.new = PostgresJobStores(postgres_url)
        self.new.client.execute("DELETE FROM darkroom.moved_statistics")

    def make(self, **rules: Any) -> MovingJobStore:
        return MovingJobStore(new=self.new.make(**rules), old=self.old.make(**rules))

    def advance(self, seconds: float) -> None:
        self.old.client.eval(_INTO_THE_PAST, 0, round(seconds * 1000))
        self.old.advance(seconds)
        self.new.advance(seconds)

    def close(self) -> None:
        self.new.close()
        self.old.close()


def begin_to_move(store: MovingJobStore, *job_ids: UUID) -> None:
    """Do what a mover has done that died at the worst moment."""
    RedisSource(store._old).take(job_ids, left=Left.NONE)
