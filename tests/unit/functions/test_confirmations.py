"""Confirmations of emitted events in the jobs' records."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from queue import Queue
from uuid import UUID

from darkroom.adapters.jobs.memory import MemoryJobStore
from darkroom.contract.errors import DependencyUnavailableError
from darkroom.serving.confirmations import Confirmations
from darkroom.serving.testing import MemoryPipeline

Emissions = Sequence[tuple[UUID, int]]


class Store(MemoryJobStore):
    """Reports each call; can be down for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Queue[Emissions] = Queue()
        self.fails = 0

    def emitted_many(self, emissions: Emissions) -> None:
        self.calls.put(emissions)
        if self.fails:
            self.fails -= 1
            raise DependencyUnavailableError("jobs", "it is down")
        super().emitted_many(emissions)


def confirmations_in(store: Store) -> Confirmations:
    return Confirmations(MemoryPipeline("ingest", jobs=store).resources, gathered_for_s=0.1)


def test_what_comes_within_a_moment_is_noted_in_one_call() -> None:
    store = Store()
    confirmations = confirmations_in(store)
    emissions = [(uuid.uuid4(), 1) for _ in range(5)]

    for job_id, emission in emissions:
        confirmations.add(job_id, emission)

    assert store.calls.get(timeout=10) == emissions
    assert store.calls.empty()


def test_a_store_that_was_down_does_not_end_the_noting() -> None:
    store = Store()
    store.fails = 1
    confirmations = confirmations_in(store)
    lost, noted = (uuid.uuid4(), 1), (uuid.uuid4(), 1)

    confirmations.add(*lost)
    assert store.calls.get(timeout=10) == [lost]
    confirmations.add(*noted)

    assert store.calls.get(timeout=10) == [noted]
