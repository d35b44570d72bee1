"""Redis as the store that jobs leave: calls of the scripts `lua/move_*.lua`, which define what is taken and when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from darkroom.adapters.jobs import Held, Lease, NewJob
from darkroom.adapters.jobs.redis import JOB_KEY_PREFIX, RedisJobStore
from darkroom.adapters.jobs.redis_records import record_of

MOVING_KEY_PREFIX = "darkroom:moving:"
_MOVING = "darkroom:moving"
_OWED_PATTERN = "darkroom:webhooks:of:*"
_KEEPERS_OWED = "darkroom:keepers-owed"
_SCANNED_AT_ONCE = 1000


class Left(StrEnum):
    """Which jobs stay where they are for now."""

    NONE = ""
    HELD = "held"
    """Those under a live lease."""
    PROMISED = "promised"
    """Those too whose acceptance may still be retracted by its caller, who never heard of it."""


@dataclass(frozen=True, kw_only=True)
class Taken:
    fields: Mapping[UUID, Mapping[str, str]]
    """The records that are on their way now, by their jobs."""
    held: Mapping[UUID, Held]
    """Those that stayed under a live lease."""
    promised: int = 0
    """How many stayed because their acceptance may still be retracted."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """What Redis knows of a request for a new job."""

    first: UUID | None
    """The job that an earlier request with its key or its id made, if it is here."""
    is_erased: bool
    is_picture_erased: bool


@dataclass(frozen=True, kw_only=True)
class Remaining:
    on_their_way: int
    erasures: int
    keepers: int
    webhooks: int
    other_store_accepts: bool
    """Whether functions accept jobs into the other store."""


class RedisSource:
    """Every method raises DependencyUnavailableError, and may be repeated."""

    def __init__(self, store: RedisJobStore) -> None:
        self._store = store

    def check(self) -> None:
        self._store.check()

    def take(self, job_ids: Sequence[UUID], *, left: Left) -> Taken:
        fields: dict[UUID, Mapping[str, str]] = {}
        held: dict[UUID, Held] = {}
        promised = 0
        for code, job_id, *rest in self._script("move_take", left.value, *map(str, job_ids)):
            if code == "taken":
                fields[UUID(job_id)] = _pairs(rest[0])
            elif code == "held":
                held[UUID(job_id)] = _held(UUID(job_id), *rest)
            promised += code == "promised"
        return Taken(fields=fields, held=held, promised=promised)

    def delivered(self, job_ids: Sequence[UUID]) -> None:
        self._script("move_delivered", *map(str, job_ids))

    def on_its_way(self, job_id: UUID) -> Mapping[str, str]:
        """Return the record of a job that was taken and perhaps not delivered; empty if there is none."""
        found: Any = self._store._ask(lambda: self._store._connected().hgetall(f"{MOVING_KEY_PREFIX}{job_id}"))
        return dict(found)

    def all_on_their_way(self, *, limit: int) -> list[UUID]:
        found: Any = self._store._ask(lambda: self._store._connected().srandmember(_MOVING, limit))
        return [UUID(job_id) for job_id in found]

    def known(self, jobs: Sequence[NewJob]) -> list[Known]:
        """Look up what these requests may have made before. From now on Redis accepts no job."""
        values = [
            value for job in jobs for value in (job.owner, job.idempotency_key or "", str(job.job_id), job.storage_key)
        ]
        return [
            Known(first=UUID(first) if first else None, is_erased=bool(erased), is_picture_erased=bool(picture))
            for first, erased, picture in self._script("move_known", *values)
        ]

    def users_of_original(self, job_id: UUID, storage_key: str) -> list[UUID]:
        """Return the jobs that use the job's original; `storage_key` names it where the job's record is elsewhere."""
        return [UUID(user) for user in self._script("move_users", str(job_id), storage_key)]

    def take_statistics(self, token: str, *, order: str) -> tuple[str, Mapping[str, str]] | None:
        """Return the counts that are on their way, and their token. `order` is `take` or `look`."""
        answer = self._script("move_statistics", order, token)
        return (answer[0], _pairs(answer[1])) if answer else None

    def statistics_delivered(self, token: str) -> None:
        self._script("move_statistics", "delivered", token)

    def remaining(self) -> Remaining:
        on_their_way, erasures, keepers, webhooks, accepts = map(int, self._script("move_left"))
        return Remaining(
            on_their_way=on_their_way,
            erasures=erasures,
            keepers=keepers,
            webhooks=webhooks,
            other_store_accepts=bool(accepts),
        )

    def all_jobs(self) -> Iterator[UUID]:
        """Return the ids of all jobs that are here, or of which something is owed. Some may come twice."""
        for pattern in (f"{JOB_KEY_PREFIX}*", _OWED_PATTERN):
            yield from self._scan(pattern)
        keepers: Any = self._store._ask(lambda: self._store._connected().hkeys(_KEEPERS_OWED))
        yield from map(UUID, keepers)

    def _scan(self, pattern: str) -> Iterator[UUID]:
        cursor = 0
        while True:
            answer: Any = self._store._ask(
                lambda at=cursor: self._store._connected().scan(at, match=pattern, count=_SCANNED_AT_ONCE)  # type: ignore[misc]
            )
            cursor, keys = answer
            for key in keys:
                yield UUID(key.rpartition(":")[2])
            if cursor == 0:
                return

    def _script(self, name: str, *arguments: str | int) -> Any:
        return self._store._script(name, *arguments)


def _pairs(flat: list[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _held(job_id: UUID, flat: list[str], lease_left_ms: int, attempt_ms: int) -> Held:
    record = record_of(flat, job_id)
    lease = Lease(job_id=job_id, fence=record.fence, record=record)
    return Held(lease=lease, lease_left_s=int(lease_left_ms) / 1000, attempt_s=int(attempt_ms) / 1000)
