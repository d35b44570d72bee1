import logging
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

from cloudevents.core.v1.event import CloudEvent


def new() -> "Function":
    """Called by the middleware, which serves the instance that it returns."""
    return Function()


class Function:
    def __init__(self) -> None:
        self.greeting = ""

    def start(self, cfg: dict[str, str]) -> None:
        """Called once with the environment, before the first event."""
        self.greeting = cfg["GREETING"]

    async def handle(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[CloudEvent], Awaitable[None]],
    ) -> None:
        """Answer an event with another one, which the Broker sends on."""
        event = scope["event"]
        text = f"{self.greeting}, {event.get_data()['name']}!"
        logging.info("greeted: %s", text)
        attributes = {"type": "example.greeted", "source": "/greeter", "id": str(uuid4())}
        await send(CloudEvent(attributes=attributes, data={"text": text}))

    def stop(self) -> None:
        """Called when the instance is stopped."""
        logging.info("greeter stops")
