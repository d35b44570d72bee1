"""Copies of events that are kept outside of the Broker: the record of `darkroom up`. A cluster has none."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol


class EventRecords(Protocol):
    def forget(self, job_ids: Collection[str]) -> None:
        """Take out every event that names one of the jobs, and what became of it. Raises DependencyUnavailableError."""


class NoEventRecords:
    def forget(self, job_ids: Collection[str]) -> None:
        return None
