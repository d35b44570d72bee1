"""The emitter of a function that has no K_SINK yet."""

from __future__ import annotations

from typing import NoReturn

from darkroom.contract.errors import DependencyUnavailableError
from darkroom.events.cloudevents import CloudEvent

WAITING_FOR_SINK = "K_SINK is not set: the function waits for a SinkBinding to inject it"


class UnboundEmitter:
    """Refuses every event, which stays in the outbox.

    A SinkBinding that injects K_SINK creates a new revision, whose processes have the address.
    """

    def emit(self, event: CloudEvent) -> None:
        refuse_unbound()

    def close(self) -> None:
        return None


def refuse_unbound() -> NoReturn:
    """Raise DependencyUnavailableError, which says what the function waits for."""
    raise DependencyUnavailableError("broker", WAITING_FOR_SINK)
