"""Where events go: whatever K_SINK names, a Knative Broker as a rule."""

from __future__ import annotations

from typing import Protocol

from darkroom.events.cloudevents import CloudEvent


class Emitter(Protocol):
    def emit(self, event: CloudEvent) -> None:
        """Returns once the broker has the event; raises DependencyUnavailableError("broker", ...) within its deadline.

        The same event may be sent twice: its id tells.
        """
