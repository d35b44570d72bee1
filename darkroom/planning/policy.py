"""Choices of the plan: how much room is left, and how large a part may become. None of them was measured."""

from __future__ import annotations

from dataclasses import dataclass

WORKER_USE = 0.7
"""How busy workers and CPUs are at the peak, so that a burst within it finds room."""
STORE_USE = 0.85
"""How full Redis is at most: above it, ingest refuses jobs with `backlog.full`."""
DISK_USE = 0.8
APPEND_ONLY_FACTOR = 3.0
"""Redis' append-only file grows to twice the data, and a third copy is there while it is written anew."""
ACK_PENDING_PER_PLACE = 2
"""maxAckPending for each job that a function processes at once: the next job waits at the function."""
MAX_ROUNDS = 10
"""maxAckPending of at most so many times what a function processes at once, above which `darkroom check` warns."""


@dataclass(frozen=True, kw_only=True)
class CellLimits:
    """How large one installation may become before there is another."""

    redis_bytes: int = 32 * 2**30
    """One Redis: a fork for its append-only file, and a restart that reads it, take minutes at this size."""
    single_core_use: float = 0.5
    """Redis executes commands on one core, and one stream's writes pass one leader."""
    pods_per_function: int = 200
    s3_writes_per_s: float = 3500.0
    """What Amazon S3 documents for one prefix: 3,500 PUT, COPY, POST or DELETE and 5,500 GET or HEAD a second."""
    s3_reads_per_s: float = 5500.0
