"""The simulation's clock: what happens next, and when. Events at the same time happen in the order of their entry."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappush
from itertools import count
from typing import Any, TypeAlias

Handler: TypeAlias = Callable[[float, Any], None]
"""Is given the time, and the argument that was entered with it."""
Entry: TypeAlias = tuple[float, int, Handler, Any]


class Agenda:
    __slots__ = ("_next_number", "heap", "scaled_at_s")

    def __init__(self) -> None:
        self.scaled_at_s = 0.0
        """When instances were last started, stopped or ready; pools that act together go by it."""
        self.heap: list[Entry] = []
        """Read by the engine's loop."""
        self._next_number = count().__next__

    def enter(self, at_s: float, handler: Handler, argument: Any = None) -> None:
        heappush(self.heap, (at_s, self._next_number(), handler, argument))
