"""Keeps what was given up until a person redrives or drops it: a JetStream stream."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from darkroom.telemetry.metric import Readings

WEBHOOK = "webhook"
"""The origin of the letter of a webhook that no endpoint took; its event has the webhook's id and its endpoint's."""


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    reason: str
    """A stable code: that of the job's error, or `event.rejected`."""
    detail: str
    event: dict[str, Any]
    """The event in the CloudEvents JSON format."""
    job_id: str | None = None
    job_type: str | None = None
    attempts: int = 0
    origin: str = ""
    """The component that gave it up."""


@dataclass(frozen=True, kw_only=True)
class KeptDeadLetter:
    sequence: int
    """The entry's number in the stream; it never changes and is never reused."""
    kept_at: datetime
    letter: DeadLetter


class DeadLetters(Protocol):
    """Every method raises DependencyUnavailableError("deadletters", ...) when the stream cannot do its part."""

    def keep(self, letter: DeadLetter, *, key: str) -> int:
        """Store the letter. Returns the entry's sequence once the stream has it. The same `key` within two minutes is
        stored once.
        """

    def list(self, *, limit: int = 100, after: int = 0) -> list[KeptDeadLetter]:
        """Return the entries with a sequence above `after`, oldest first."""

    def get(self, sequence: int) -> KeptDeadLetter | None: ...

    def drop(self, sequence: int) -> bool:
        """Delete the entry. Returns False if it did not exist."""

    def erase(self, job_ids: Collection[str]) -> int:
        """Erase every entry that has something of one of these jobs, and overwrite it on disk. Returns how many."""

    def prepare(self) -> None:
        """Create the stream if it does not exist. Idempotent."""

    def readings(self) -> Readings:
        """Return the number of dead letters, and the stream's metrics."""

    def check(self) -> None:
        """Return if the stream answers."""
