"""The event log: the `Report` that all parts share. It counts events, keeps the latest, and notifies subscribers."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

KEPT_EVENTS = 5000

Subscriber = Callable[[str, dict[str, Any]], None]


@dataclass(frozen=True, kw_only=True)
class LoggedEvent:
    number: int
    """Increases by one with each event."""
    at: float
    """Seconds since the epoch."""
    action: str
    fields: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        return {"number": self.number, "at": self.at, "action": self.action, **self.fields}


class EventLog:
    def __init__(self) -> None:
        self._events: deque[LoggedEvent] = deque(maxlen=KEPT_EVENTS)
        self._number = 0
        self._subscribers: list[Subscriber] = []
        self.counts: Counter[str] = Counter()

    def report(self, action: str, /, **fields: Any) -> None:
        self._number += 1
        self.counts[action] += 1
        self._events.append(LoggedEvent(number=self._number, at=time.time(), action=action, fields=fields))
        for subscriber in self._subscribers:
            subscriber(action, fields)

    def subscribe(self, subscriber: Subscriber) -> None:
        self._subscribers.append(subscriber)

    def since(self, number: int) -> list[LoggedEvent]:
        """Return the kept events after this number, oldest first."""
        return [event for event in self._events if event.number > number]
