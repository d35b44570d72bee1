"""Sends events to K_SINK, usually a Knative Broker."""

from __future__ import annotations

from typing import Protocol

from darkroom.events.cloudevents import CloudEvent


class Emitter(Protocol):
    def emit(self, event: CloudEvent) -> None:
        """Return once the broker has the event. Raises DependencyUnavailableError("broker", ...) within its deadline.

        The same event may be sent twice; its id identifies it.
        """
