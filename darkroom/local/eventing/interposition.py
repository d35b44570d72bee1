"""Where something else may step between the Broker and its subscribers: one place, around an attempt to deliver.

Chaos is the one user. While nobody has stepped in, an attempt costs one comparison more than without this module.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from darkroom.events.cloudevents import CloudEvent
from darkroom.local.eventing.broker import BrokerAddress
from darkroom.local.eventing.stream import StoredEvent
from darkroom.local.eventing.subscribers import Attempt, Deliver


class Interposer(Protocol):
    def stored(self, broker: BrokerAddress, event: StoredEvent) -> None:
        """Take note of an event that a Broker's stream has stored. Must not block or raise."""

    async def attempt(self, subscription: str, event: CloudEvent, timeout_s: float, deliver: Deliver) -> Attempt:
        """Make an attempt to deliver, with `deliver` or without. `subscription` is the Trigger's label."""


class Interposition:
    """Holds the interposer of this moment, if there is one."""

    def __init__(self) -> None:
        self.current: Interposer | None = None

    def around(self, subscription: str, deliver: Deliver) -> Deliver:
        """Return the delivery with room for an interposer around it."""

        def attempt(event: CloudEvent, timeout_s: float) -> Awaitable[Attempt]:
            if self.current is None:
                return deliver(event, timeout_s)
            return self.current.attempt(subscription, event, timeout_s, deliver)

        return attempt

    def stored(self, broker: BrokerAddress, event: StoredEvent) -> None:
        if self.current is not None:
            self.current.stored(broker, event)
