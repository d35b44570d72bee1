"""Records what a Result is made of while a simulation runs."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import TYPE_CHECKING

from darkroom.local.revisions.autoscaler import Code, Decided
from darkroom.simulate.agenda import Agenda
from darkroom.simulate.requests import Outcome
from darkroom.simulate.result import Bend, FlowResult, Latencies, ServiceResult, ServiceSeries

if TYPE_CHECKING:
    from darkroom.simulate.flow import SimulatedFlow
    from darkroom.simulate.service import SimulatedService


class PathRecorder:
    """Latencies of one path."""

    __slots__ = ("_arrived_s", "_cold", "_path", "_seconds")

    def __init__(self, path: str) -> None:
        self._path = path
        self._arrived_s = array("d")
        self._seconds = array("d")
        self._cold = 0

    def add(self, arrived_s: float, ended_s: float, *, cold: bool) -> None:
        self._arrived_s.append(arrived_s)
        self._seconds.append(ended_s - arrived_s)
        if cold:
            self._cold += 1

    def result(self) -> Latencies:
        return Latencies(path=self._path, arrived_s=self._arrived_s, seconds=self._seconds, cold=self._cold)


class Decisions:
    """The decisions of one autoscaler: the last one's reason, and those that changed something."""

    def __init__(self, wanted: int) -> None:
        self.bends: list[Bend] = []
        self.code = Code.START if wanted else Code.AT_ZERO
        self.is_panicking = False

    def add(self, now_s: float, decided: Decided) -> None:
        reason = decided.reason
        self.code = reason.code
        self.is_panicking = decided.decision.panicking
        if decided.decision.desired != decided.was:
            wanted = decided.decision.desired
            self.bends.append(Bend(at_s=now_s, before=decided.was, wanted=wanted, reason=reason))


class ServiceRecorder:
    """The series of one Service."""

    def __init__(self, service: SimulatedService) -> None:
        self._service = service
        self._wanted, self._ready, self._starting, self._draining = array("q"), array("q"), array("q"), array("q")
        self._busy, self._queue = array("q"), array("q")
        self._panicking: list[bool] = []
        self._reasons: list[str] = []

    def sample(self) -> None:
        service, pool = self._service, self._service.pool
        self._wanted.append(service.wanted)
        self._ready.append(pool.ready)
        self._starting.append(pool.starting)
        self._draining.append(pool.draining)
        self._busy.append(service.busy)
        self._queue.append(len(service.line))
        self._panicking.append(service.decisions.is_panicking)
        self._reasons.append(service.decisions.code.value)

    def result(self, times_s: array[float], ended_s: float) -> ServiceResult:
        service, outcomes = self._service, self._service.outcomes
        return ServiceResult(
            name=service.model.name,
            series=ServiceSeries(
                times_s=times_s,
                wanted=self._wanted,
                ready=self._ready,
                starting=self._starting,
                draining=self._draining,
                busy=self._busy,
                queue=self._queue,
                panicking=self._panicking,
                reasons=self._reasons,
            ),
            bends=tuple(service.decisions.bends),
            requests=service.requests,
            succeeded=outcomes[Outcome.SUCCEEDED],
            failed=outcomes[Outcome.FAILED],
            refused=outcomes[Outcome.REFUSED],
            timed_out=outcomes[Outcome.TIMED_OUT] + outcomes[Outcome.GIVEN_UP],
            unfinished=service.load.current,
            starts=service.pool.starts,
            cold_requests=service.cold_requests,
            pod_seconds=service.pool.pod_seconds_until(ended_s),
            busy_seconds=service.busy_seconds,
            longest_queue=service.longest_queue,
        )


class FlowRecorder:
    """The backlog of one Trigger."""

    def __init__(self, flow: SimulatedFlow) -> None:
        self._flow = flow
        self._backlog = array("q")

    def sample(self) -> None:
        self._backlog.append(self._flow.backlog)

    def result(self) -> FlowResult:
        flow = self._flow
        ended = flow.succeeded + flow.dead_lettered + flow.lost
        return FlowResult(
            name=flow.model.name,
            events=flow.events,
            delivered=flow.delivered,
            retried=flow.retried,
            succeeded=flow.succeeded,
            dead_lettered=flow.dead_lettered,
            lost=flow.lost,
            unfinished=flow.events - ended,
            backlog=self._backlog,
            longest_backlog=flow.longest_backlog,
        )


class Sampler:
    """Samples all series at a fixed interval."""

    def __init__(self, agenda: Agenda, every_s: float, samples: list[Callable[[], None]]) -> None:
        self.times_s = array("d")
        self._agenda = agenda
        self._every_s = every_s
        self._samples = samples
        agenda.enter(0.0, self._sample)

    def _sample(self, now_s: float, _: None) -> None:
        self.times_s.append(now_s)
        for sample in self._samples:
            sample()
        self._agenda.enter(len(self.times_s) * self._every_s, self._sample)
