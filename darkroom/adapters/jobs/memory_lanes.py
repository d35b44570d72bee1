"""The lanes of the in-memory store, by the rules of `darkroom.contract.lanes`."""

from __future__ import annotations

from uuid import UUID

from darkroom.adapters.jobs import Lane
from darkroom.adapters.jobs.memory_job import MemoryJob, milliseconds
from darkroom.adapters.jobs.statistics import LaneLoad
from darkroom.contract.lanes import FairLane


class MemoryLanes:
    def __init__(self, broker_window: int | None) -> None:
        self.broker_window = broker_window
        self._lanes: dict[Lane, FairLane[UUID]] = {}
        self._waiting: dict[UUID, MemoryJob] = {}

    def enter(self, job: MemoryJob) -> bool:
        """Let a job into the window, or let it wait behind those that came before. Returns whether it is in."""
        is_in = self._of(job).enter(job.new.job_id, job.new.owner, job.new.turn, _order(job))
        self._note(job, waits=not is_in)
        return is_in

    def wait(self, job: MemoryJob) -> None:
        """Let a job wait, even if there is room."""
        self._of(job).wait(job.new.job_id, job.new.owner, job.new.turn, _order(job))
        self._note(job, waits=True)

    def enter_window(self, job: MemoryJob) -> None:
        self._of(job).admit(job.new.job_id)
        self._note(job, waits=False)

    def leave(self, job: MemoryJob) -> None:
        self._of(job).leave(job.new.job_id)
        self._note(job, waits=False)

    def take_next(self, name: Lane) -> MemoryJob | None:
        """Take the next job out of the line, into the window, and count its owner's turn. None: nobody can."""
        job_id = self._lane(name).take_next()
        if job_id is None:
            return None
        job = self._waiting[job_id]
        self._note(job, waits=False)
        return job

    def is_room_wanted(self, job: MemoryJob) -> bool:
        return self._of(job).is_room_wanted

    def waiting(self) -> dict[Lane, int]:
        return {name: lane.waiting for name, lane in self._lanes.items() if lane.waiting}

    def loads(self, now_s: float) -> dict[Lane, LaneLoad]:
        return {name: self._load(lane, now_s) for name, lane in self._lanes.items()}

    def _of(self, job: MemoryJob) -> FairLane[UUID]:
        return self._lane(Lane(type=job.new.type, cost_class=job.new.cost_class))

    def _lane(self, name: Lane) -> FairLane[UUID]:
        return self._lanes.setdefault(name, FairLane(self.broker_window))

    def _note(self, job: MemoryJob, *, waits: bool) -> None:
        job.in_lane = waits
        if waits:
            self._waiting[job.new.job_id] = job
        else:
            self._waiting.pop(job.new.job_id, None)

    def _load(self, lane: FairLane[UUID], now_s: float) -> LaneLoad:
        first = [self._waiting[job_id].created_s for job_id in lane.first_in_lines]
        return LaneLoad(
            waiting=lane.waiting, with_broker=lane.with_broker, oldest_wait_s=now_s - min(first, default=now_s)
        )


def _order(job: MemoryJob) -> tuple[int, str]:
    return (milliseconds(job.created_s), str(job.new.job_id))
