"""The rules of a lane: a bounded window of jobs is with the Broker, and the others wait and take turns between owners.

Start-time fair queueing (Goyal, Vin and Cheng, 1996): each turn starts where the owner's last one ended, but not
before the lane's clock, which is the start of the turn that was last given. A turn is as long as its job is dear,
divided by the owner's weight, so whoever comes new is served next, whatever waits already.

The in-memory job store and the simulator use these rules; lua/lanes.lua and PostgreSQL's functions say the same.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

ItemT = TypeVar("ItemT", bound=Hashable)


@dataclass(slots=True)
class _Waiting:
    order: Any
    owner: str
    turn: float


class FairLane(Generic[ItemT]):
    """The jobs of one type and cost class."""

    def __init__(self, window: int | None) -> None:
        """`window`: how many jobs may be with the Broker; None: all of them."""
        self._size = window
        self._window: set[ItemT] = set()
        """The jobs that are with the Broker."""
        self._waiting: dict[ItemT, _Waiting] = {}
        self._lines: dict[str, list[tuple[Any, ItemT]]] = {}
        """The jobs that wait, by owner and in the order of their acceptance."""
        self._turns: dict[str, float] = {}
        """The start of the next turn of every owner that waits."""
        self._ended_turns: dict[str, float] = {}
        """The end of an owner's last turn."""
        self._clock = 0.0

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def with_broker(self) -> int:
        return len(self._window)

    @property
    def first_in_lines(self) -> Iterator[ItemT]:
        """Yield the job of each owner that waits longest."""
        return (line[0][1] for line in self._lines.values())

    @property
    def has_room(self) -> bool:
        return self._size is None or len(self._window) < self._size

    @property
    def is_room_wanted(self) -> bool:
        """Report whether it is time to call `take_next`: when a quarter of the window is free, or room for all that
        wait.

        Nobody is idle meanwhile: the window is twice what is processed at once.
        """
        if not self._waiting or self._size is None:
            return bool(self._waiting)
        free = self._size - len(self._window)
        return free >= min(len(self._waiting), max(1, self._size // 4))

    def enter(self, item: ItemT, owner: str, turn: float, order: Any) -> bool:
        """Let a job into the window, or let it wait behind those that came before. Returns whether it is in.

        Jobs of one owner wait in the order of `order`, such as the time of their acceptance, which must be unique.
        """
        if item in self._window:
            return True
        if not self._waiting and self.has_room:
            self.admit(item)
            return True
        self.wait(item, owner, turn, order)
        return False

    def wait(self, item: ItemT, owner: str, turn: float, order: Any) -> None:
        """Let a job wait, even if there is room."""
        self._window.discard(item)
        if item in self._waiting:
            return
        self._waiting[item] = _Waiting(order, owner, turn)
        line = self._lines.setdefault(owner, [])
        insort(line, (order, item))
        if len(line) == 1:
            self._turns[owner] = max(self._clock, self._ended_turns.get(owner, 0.0))

    def admit(self, item: ItemT) -> None:
        """Let a job into the window, even if it is full."""
        if self._waiting:
            self._leave_line(item)
        if self._size is not None:
            self._window.add(item)

    def leave(self, item: ItemT) -> None:
        """Take out a job that has ended."""
        if self._waiting:
            self._leave_line(item)
        self._window.discard(item)

    def take_next(self) -> ItemT | None:
        """Take the next job out of the line, into the window, and count its owner's turn. None: nobody can."""
        if not self._turns or not self.has_room:
            return None
        owner, starts = min(self._turns.items(), key=lambda turn: (turn[1], turn[0]))
        item = self._lines[owner][0][1]
        ends = starts + self._waiting[item].turn
        self.admit(item)
        if self._lines:
            self._clock = starts
            self._ended_turns[owner] = ends
            if owner in self._turns:
                self._turns[owner] = ends
        return item

    def _leave_line(self, item: ItemT) -> None:
        waiting = self._waiting.pop(item, None)
        if waiting is None:
            return
        line = self._lines[waiting.owner]
        line.remove((waiting.order, item))
        if not line:
            del self._lines[waiting.owner], self._turns[waiting.owner]
        if not self._lines:
            # Nobody has an advantage to lose when nobody waits.
            self._ended_turns.clear()
            self._clock = 0.0


@dataclass(frozen=True)
class LaneWindow:
    """BROKER_WINDOW, for simulations: the lane of one Trigger's jobs."""

    size: int

    def open(self) -> OpenLane:
        return OpenLane(self.size)


class OpenLane:
    """A lane as jobs pass through it: accepted, ended, and handed out whenever there is room for several."""

    def __init__(self, size: int) -> None:
        self._lane: FairLane[int] = FairLane(size)

    @property
    def waiting(self) -> int:
        return self._lane.waiting

    def enter(self, item: int, owner: str, cost: float) -> bool:
        """Accept a job; items are numbered in the order of acceptance. Returns whether it is with the Broker."""
        return self._lane.enter(item, owner, cost, item)

    def leave(self, item: int) -> Sequence[int]:
        """End a job. Returns those that are handed out to the Broker now."""
        lane = self._lane
        lane.leave(item)
        if not lane.waiting or not lane.is_room_wanted:
            return ()
        return list(iter(lane.take_next, None))
