"""Work that progresses more slowly the more of it there is: CPU time on few cores, and instances that start together.

All jobs progress at the same speed, which follows from their number. So their order of completion is fixed when they
begin, and only the time of the next completion changes with their number.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from math import inf
from typing import Any, TypeAlias

from darkroom.simulate.agenda import Agenda, Handler

_ROUNDING_S = 1e-9
"""Work that is left over by rounding."""


Job: TypeAlias = list[Any]
"""The progress of all at which it is complete, its number, its handler (None: cancelled) and the handler's argument.

A list, because comparing objects of a class of ours would take most of the time.
"""
_ENDS_AT, _HANDLER, _ARGUMENT = 0, 2, 3


class SharedProgress:
    def __init__(self, agenda: Agenda, speed: Callable[[int], float]) -> None:
        """`speed` returns how fast each of a number of jobs progresses, in seconds of work per second."""
        self._agenda = agenda
        self._speed_of = speed
        self._jobs: list[Job] = []
        self.running = 0
        self._numbers = 0
        self._progress = 0.0
        self._speed = 1.0
        self._since_s = 0.0
        self._timer_s = inf

    def begin(self, now_s: float, work_s: float, handler: Handler, argument: Any) -> Job:
        """Begin a job that takes `work_s` alone; `handler` is called at its end."""
        self._catch_up(now_s)
        self._numbers += 1
        job = [self._progress + work_s, self._numbers, handler, argument]
        heappush(self._jobs, job)
        self.running += 1
        if self._jobs[0] is job or self._speed_of(self.running) != self._speed:
            self._set_timer(now_s)
        return job

    def cancel(self, now_s: float, job: Job) -> None:
        """Take out a job that is not complete."""
        self._catch_up(now_s)
        job[_HANDLER] = None
        self.running -= 1
        self._set_timer(now_s)

    def _catch_up(self, now_s: float) -> None:
        self._progress += (now_s - self._since_s) * self._speed
        self._since_s = now_s

    def _set_timer(self, now_s: float) -> None:
        jobs = self._jobs
        while jobs and jobs[0][_HANDLER] is None:
            heappop(jobs)
        if not jobs:
            self._progress, self._timer_s = 0.0, inf
            return
        self._speed = self._speed_of(self.running)
        left_s = jobs[0][_ENDS_AT] - self._progress
        due_s = now_s + left_s / self._speed if left_s > 0 else now_s
        if due_s < self._timer_s:
            # A timer that turns out to be early is set again; one that would be late is replaced.
            self._timer_s = due_s
            self._agenda.enter(due_s, self._ring, due_s)

    def _ring(self, now_s: float, due_s: float) -> None:
        if due_s != self._timer_s:
            return
        self._timer_s = inf
        self._catch_up(now_s)
        complete: list[tuple[Handler, Any]] = []
        while self._jobs and self._jobs[0][_ENDS_AT] <= self._progress + _ROUNDING_S:
            job = heappop(self._jobs)
            if job[_HANDLER] is not None:
                self.running -= 1
                complete.append((job[_HANDLER], job[_ARGUMENT]))
        self._set_timer(now_s)
        for handler, argument in complete:
            handler(now_s, argument)


def on_cores(cores: float) -> Callable[[int], float]:
    """Return the speed of jobs that share some cores, each of which uses at most one."""
    return lambda running: cores / running if running > cores else 1.0


def slowed_by_others(growth: float, nodes: int) -> Callable[[int], float]:
    """Return the speed of starts that slow each other down (`ColdStart`), spread evenly over some nodes."""
    return lambda running: 1.0 / (1.0 + growth * max(0.0, running / nodes - 1))
