"""The interface through which an application bounds how many of its events are with the Broker at a time.

A project's extension may implement `Windowing`. Its windows follow the rules of the application's own job store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable


class OpenWindow(Protocol):
    """The state of one window during one run. Items are numbers that the simulator gives."""

    def enter(self, item: int, owner: str, cost: float) -> bool:
        """Let an item in, or let it wait. Returns whether it is with the Broker now."""

    def leave(self, item: int) -> Sequence[int]:
        """Take an item out that has ended. Returns the items that are with the Broker from now on."""

    @property
    def waiting(self) -> int:
        """Return how many items wait."""


class Window(Protocol):
    """The rules of one Trigger's window."""

    def open(self) -> OpenWindow:
        """Return a new window, in which nothing is."""


@runtime_checkable
class Windowing(Protocol):
    """An extension with windows. It need not implement this."""

    def window(self, event_type: str, settings: Mapping[str, str]) -> Window | None:
        """Return the window of the events of a type, with the Service's settings. None: such events are unbounded."""
