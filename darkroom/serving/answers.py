"""The answers of a function that takes events. `event_endpoint` turns them into HTTP."""

from __future__ import annotations

from dataclasses import dataclass

from darkroom.events.cloudevents import CloudEvent


@dataclass(frozen=True, kw_only=True)
class Done:
    """The event was handled. `reply` goes back to the broker."""

    reply: CloudEvent | None = None


@dataclass(frozen=True, kw_only=True)
class TryAgain:
    """Another attempt may succeed, after `retry_after_s`."""

    reason: str
    retry_after_s: int


@dataclass(frozen=True, kw_only=True)
class Failed:
    """The event was not handled: the broker tries again, then sends it to the dead-letter sink.

    `reason` goes to the broker, which records it in the dead letter. It never contains an exception's text.
    """

    reason: str


EventAnswer = Done | TryAgain | Failed
