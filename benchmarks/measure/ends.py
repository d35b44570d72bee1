"""Records when jobs end, by the job store's channel, which costs the stack nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from types import TracebackType

from redis import Redis
from redis.client import PubSub

from darkroom.adapters.jobs.redis import CHANGES_CHANNEL
from darkroom.contract.jobs import JobStatus

_LOOKS_EVERY_S = 0.05


class LateError(Exception):
    pass


class Ends:
    """The moments at which jobs ended, in seconds since the epoch."""

    def __init__(self, redis_url: str) -> None:
        self.at: dict[str, float] = {}
        self.failed: set[str] = set()
        self._redis: Redis = Redis.from_url(redis_url, decode_responses=True)
        self._channel: PubSub = self._redis.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="ends", daemon=True)

    def __enter__(self) -> Ends:
        self._channel.subscribe(CHANGES_CHANNEL)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
        self._channel.close()
        self._redis.close()

    def wait_for(self, jobs: Collection[str], *, within_s: float) -> float:
        """Return when the last of them ended. Raises LateError."""
        give_up_at = time.monotonic() + within_s
        left = set(jobs)
        while left := left - self.at.keys():
            if time.monotonic() > give_up_at:
                raise LateError(f"{len(left)} of {len(jobs)} jobs have not ended within {within_s:g} s")
            time.sleep(_LOOKS_EVERY_S)
        return max(self.at[job] for job in jobs)

    def between(self, began_at: float, ended_at: float) -> list[float]:
        """Return the ends of this time, in order."""
        return sorted(at for at in list(self.at.values()) if began_at < at <= ended_at)

    def _listen(self) -> None:
        while not self._stop.is_set():
            message = self._channel.get_message(timeout=_LOOKS_EVERY_S)
            if message is None:
                continue
            job_id, _, status = message["data"].partition(" ")
            if status in {JobStatus.COMPLETED, JobStatus.FAILED}:
                self.at.setdefault(job_id, time.time())
            if status == JobStatus.FAILED:
                self.failed.add(job_id)
