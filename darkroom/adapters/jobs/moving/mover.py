"""Takes jobs out of Redis and delivers them to PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any
from uuid import UUID

from darkroom.adapters.jobs import Held
from darkroom.adapters.jobs.moving.rows import row_of
from darkroom.adapters.jobs.moving.source import Left, RedisSource
from darkroom.adapters.jobs.postgres.store import PostgresJobStore
from darkroom.adapters.jobs.redis_scripts import compact
from darkroom.contract.errors import JobUnreadableError

BATCH = 100
"""Jobs that are on their way at once. Readers of a list do not see them meanwhile, which is some milliseconds."""


_DAYS_KEPT = 8
"""By the default JOB_RETENTION, in days. Jobs that ended earlier go to the default partition."""


@dataclass(kw_only=True)
class Delivered:
    moved: int = 0
    already_there: int = 0
    """A mover that died had delivered them, or they were erased meanwhile."""
    held: int = 0
    """Left for now: a worker has them, or their acceptance may still be retracted."""
    unreadable: int = 0
    """Records of another version, which stay on their way for a version that can read them."""

    def add(self, other: Delivered) -> None:
        self.moved += other.moved
        self.already_there += other.already_there
        self.held += other.held
        self.unreadable += other.unreadable


class Mover:
    """Safe to run any number of times and many at once. Every method raises DependencyUnavailableError."""

    def __init__(self, source: RedisSource, target: PostgresJobStore) -> None:
        self.source = source
        self._target = target

    def check(self) -> None:
        """Return if both stores answer, and PostgreSQL takes and keeps jobs."""
        self.source.check()
        self._target.check()

    def prepare(self) -> None:
        """Make the partitions of the days in which jobs of Redis have ended."""
        self._target._connections.ask("SELECT darkroom.make_past_partitions(%s)", (_DAYS_KEPT,))

    def bring(self, job_ids: Sequence[UUID], *, left: Left = Left.NONE) -> Mapping[UUID, Held]:
        """Have these jobs in PostgreSQL, as far as Redis has them. Returns those that stayed under a live lease."""
        return self._move(job_ids, left)[1]

    def move(self, job_ids: Iterable[UUID], *, left: Left = Left.PROMISED) -> Delivered:
        """Move these jobs in batches."""
        total = Delivered()
        remaining = iter(job_ids)
        while batch := list(islice(remaining, BATCH)):
            total.add(self._move(batch, left)[0])
        return total

    def finish(self, *, limit: int = BATCH) -> Delivered:
        """Deliver what a mover that died had taken."""
        job_ids = self.source.all_on_their_way(limit=limit)
        return self.move(job_ids, left=Left.NONE) if job_ids else Delivered()

    def move_statistics(self) -> None:
        """Add the counts of Redis to those of PostgreSQL, once, and begin them anew in Redis."""
        self._deliver_statistics(self.source.take_statistics(uuid.uuid4().hex, order="take"))

    def finish_statistics(self) -> None:
        """Deliver the counts that a mover that died had taken."""
        self._deliver_statistics(self.source.take_statistics("", order="look"))

    def has_statistics(self) -> bool:
        """Whether counts are on their way."""
        return self.source.take_statistics("", order="look") is not None

    def number_of_statistics(self) -> int:
        """Return how often counts have arrived."""
        return int(self._target._connections.ask("SELECT count(*) FROM darkroom.moved_statistics")[0][0])

    def _deliver_statistics(self, found: tuple[str, Mapping[str, str]] | None) -> None:
        if found is None:
            return
        token, counts = found
        self._target._call("adopt_statistics", token, list(counts), [int(count) for count in counts.values()])
        self.source.statistics_delivered(token)

    def _move(self, job_ids: Sequence[UUID], left: Left) -> tuple[Delivered, Mapping[UUID, Held]]:
        taken = self.source.take(list(dict.fromkeys(job_ids)), left=left)
        result = Delivered(held=len(taken.held) + taken.promised)
        rows: dict[UUID, dict[str, Any]] = {}
        for job_id, fields in taken.fields.items():
            try:
                rows[job_id] = row_of(fields, job_id)
            except JobUnreadableError:
                result.unreadable += 1
        if rows:
            outcomes = self._target._call("adopt", compact(list(rows.values())), patient=True)
            result.moved = outcomes.count("adopted")
            result.already_there = len(outcomes) - result.moved
            self.source.delivered(list(rows))
        return result, taken.held
