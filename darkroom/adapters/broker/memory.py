"""A broker in memory, for tests: it keeps the events it gets, and fails on demand."""

from __future__ import annotations

import threading

from darkroom.contract.errors import DependencyUnavailableError
from darkroom.events.cloudevents import CloudEvent


class MemoryEmitter:
    def __init__(self) -> None:
        self.events: list[CloudEvent] = []
        """The emitted events, in order; an event emitted twice is there twice."""
        self.is_down = False
        """While True, every emission fails as if the broker did not answer."""
        self.loses_answers = False
        """While True, the broker takes the event but its answer never arrives."""
        self._lock = threading.Lock()

    def emit(self, event: CloudEvent) -> None:
        if self.is_down:
            raise DependencyUnavailableError("broker", "it was taken down by the test")
        with self._lock:
            self.events.append(event)
        if self.loses_answers:
            raise DependencyUnavailableError("broker", "the test lost its answer")
