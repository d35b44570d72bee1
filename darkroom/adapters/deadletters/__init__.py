"""Where what was given up is kept until a person redrives or drops it: a JetStream stream."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from darkroom.telemetry.metric import Readings


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
    """Which component gave it up."""


@dataclass(frozen=True, kw_only=True)
class KeptDeadLetter:
    sequence: int
    """The entry's number in the stream; it never changes and is never used again."""
    kept_at: datetime
    letter: DeadLetter


class DeadLetters(Protocol):
    """Every method raises DependencyUnavailableError("deadletters", ...) when the stream does not do its part."""

    def keep(self, letter: DeadLetter, *, key: str) -> int:
        """Returns the entry's sequence once the stream has it. The same `key` within two minutes is kept once."""

    def list(self, *, limit: int = 100, after: int = 0) -> list[KeptDeadLetter]:
        """Oldest first, those with a sequence above `after`."""

    def get(self, sequence: int) -> KeptDeadLetter | None: ...

    def drop(self, sequence: int) -> bool:
        """False: it was not there."""

    def prepare(self) -> None:
        """Make the stream if it is not there; idempotent."""

    def readings(self) -> Readings:
        """How many there are, and the figures of their stream."""

    def check(self) -> None:
        """Returns if the stream answers."""
