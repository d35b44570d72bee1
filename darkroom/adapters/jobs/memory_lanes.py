"""The lanes of the in-memory store: what lua/lanes.lua does, in Python."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from darkroom.adapters.jobs import Lane
from darkroom.adapters.jobs.memory_job import MemoryJob, milliseconds
from darkroom.adapters.jobs.statistics import LaneLoad


@dataclass
class _Lane:
    window: set[UUID] = field(default_factory=set)
    """The jobs that are with the broker."""
    lines: dict[str, list[MemoryJob]] = field(default_factory=dict)
    """The jobs that wait, by owner and in the order of their acceptance."""
    turns: dict[str, float] = field(default_factory=dict)
    """The start of the next turn of every owner that waits."""
    ended_turns: dict[str, float] = field(default_factory=dict)
    """The end of an owner's last turn."""
    clock: float = 0.0


class MemoryLanes:
    def __init__(self, broker_window: int | None) -> None:
        self.broker_window = broker_window
        self._lanes: dict[Lane, _Lane] = {}

    def enter(self, job: MemoryJob) -> bool:
        """Let a job into the window, or let it wait behind those that came before. Returns whether it is in."""
        lane = self._of(job)
        if job.new.job_id in lane.window or (self._has_room(lane) and not lane.lines):
            self.enter_window(job)
            return True
        self._stand_in_line(lane, job)
        return False

    def wait(self, job: MemoryJob) -> None:
        """Let a job wait, even if there is room."""
        self._stand_in_line(self._of(job), job)

    def enter_window(self, job: MemoryJob) -> None:
        lane = self._of(job)
        self._leave_line(lane, job)
        if self.broker_window is not None:
            lane.window.add(job.new.job_id)

    def leave(self, job: MemoryJob) -> None:
        lane = self._of(job)
        self._leave_line(lane, job)
        lane.window.discard(job.new.job_id)

    def take_next(self, name: Lane) -> MemoryJob | None:
        """Take the next job out of the line, into the window, and count its owner's turn. None: nobody can."""
        lane = self._lanes.setdefault(name, _Lane())
        if not lane.turns or not self._has_room(lane):
            return None
        owner, starts = min(lane.turns.items(), key=lambda turn: (turn[1], turn[0]))
        job = lane.lines[owner][0]
        self.enter_window(job)
        if lane.lines:
            lane.clock = starts
            ends = starts + job.new.turn
            lane.ended_turns[owner] = ends
            if owner in lane.turns:
                lane.turns[owner] = ends
        return job

    def is_room_wanted(self, job: MemoryJob) -> bool:
        lane = self._of(job)
        waiting = sum(map(len, lane.lines.values()))
        if not waiting or self.broker_window is None:
            return waiting > 0
        free = self.broker_window - len(lane.window)
        return free >= min(waiting, max(1, self.broker_window // 10))

    def waiting(self) -> dict[Lane, int]:
        return {name: sum(map(len, lane.lines.values())) for name, lane in self._lanes.items() if lane.lines}

    def loads(self, now_s: float) -> dict[Lane, LaneLoad]:
        return {name: _load(lane, now_s) for name, lane in self._lanes.items()}

    def _of(self, job: MemoryJob) -> _Lane:
        return self._lanes.setdefault(Lane(type=job.new.type, cost_class=job.new.cost_class), _Lane())

    def _has_room(self, lane: _Lane) -> bool:
        return self.broker_window is None or len(lane.window) < self.broker_window

    def _stand_in_line(self, lane: _Lane, job: MemoryJob) -> None:
        lane.window.discard(job.new.job_id)
        if job.in_lane:
            return
        job.in_lane = True
        owner = job.new.owner
        line = lane.lines.setdefault(owner, [])
        line.append(job)
        line.sort(key=lambda each: (milliseconds(each.created_s), str(each.new.job_id)))
        if len(line) == 1:
            lane.turns[owner] = max(lane.clock, lane.ended_turns.get(owner, 0.0))

    def _leave_line(self, lane: _Lane, job: MemoryJob) -> None:
        if not job.in_lane:
            return
        job.in_lane = False
        owner = job.new.owner
        lane.lines[owner].remove(job)
        if not lane.lines[owner]:
            del lane.lines[owner], lane.turns[owner]
        if not lane.lines:
            lane.ended_turns.clear()
            lane.clock = 0.0


def _load(lane: _Lane, now_s: float) -> LaneLoad:
    first = [line[0].created_s for line in lane.lines.values()]
    return LaneLoad(
        waiting=sum(map(len, lane.lines.values())),
        with_broker=len(lane.window),
        oldest_wait_s=now_s - min(first, default=now_s),
    )
