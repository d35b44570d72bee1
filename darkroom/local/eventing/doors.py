"""By which door an event enters a Broker: over HTTP, as a reply, from a PingSource, as a replay, and what caused it.

The door travels in a context variable, because what is between a door and the ingress (subscribers, sources) has no
other use for it. Without one, an event came over HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from typing import NamedTuple


class Door(StrEnum):
    HTTP = "http"
    REPLY = "reply"
    """The answer of a Trigger's subscriber."""
    DELIVERY = "delivery"
    """A Trigger whose subscriber is a Broker."""
    DEAD_LETTER = "dead letter"
    """A Trigger whose dead-letter sink is a Broker."""
    SOURCE = "source"
    REPLAY = "replay"


class Cause(NamedTuple):
    """The delivery of another event by which an event came about. A tuple, because each delivery makes one."""

    broker: str
    """Namespace and name, with a slash between them; so are the other Brokers and Triggers of the record."""
    trigger: str
    id: str
    source: str
    sequence: int


class Entrance(NamedTuple):
    door: Door = Door.HTTP
    name: str = ""
    """The source's kind and name."""
    cause: Cause | None = None


OVER_HTTP = Entrance()
_entrance: ContextVar[Entrance] = ContextVar("darkroom_entrance", default=OVER_HTTP)


def entrance() -> Entrance:
    """Return how the event that is being published enters."""
    return _entrance.get()


def come_by(entrance: Entrance) -> None:
    """Let what this task publishes from now on enter by this door. For a task that does nothing else."""
    _entrance.set(entrance)


@contextmanager
def enter(entrance: Entrance) -> Iterator[None]:
    """Let what is published in this block enter by this door."""
    token = _entrance.set(entrance)
    try:
        yield
    finally:
        _entrance.reset(token)
