"""What a function that takes events has to say of one: the answers that every Knative broker understands.

How they look over HTTP is decided by `event_endpoint`.
"""

from __future__ import annotations

from dataclasses import dataclass

from darkroom.events.cloudevents import CloudEvent


@dataclass(frozen=True, kw_only=True)
class Done:
    """Dealt with. `reply` goes back to the broker."""

    reply: CloudEvent | None = None


@dataclass(frozen=True, kw_only=True)
class TryAgain:
    """Another try may succeed, and when."""

    reason: str
    retry_after_s: int


@dataclass(frozen=True, kw_only=True)
class Failed:
    """Nothing came of it, and we cannot keep the event ourselves: the broker tries again, then dead-letters it.

    `reason` is sent to the broker, which records it in the dead letter. It never holds an exception's text.
    """

    reason: str


Answer = Done | TryAgain | Failed
