"""One simulated Service: the activator before it, its instances at work, and its autoscaler.

This is where a million requests spend their time, so the requests' path has few calls, and all objects have slots.
"""

from __future__ import annotations

from dataclasses import replace

from darkroom.local.revisions.autoscaler import LoadIntegral, ScalerState, ScalingLoop
from darkroom.local.revisions.queueing import WaitingLine
from darkroom.manifests.revision import ScalingConfig
from darkroom.simulate.agenda import Agenda
from darkroom.simulate.draws import ServiceDraws
from darkroom.simulate.instances import SimulatedInstance, SimulatedPool
from darkroom.simulate.model import Begin, Scenario, ServiceModel
from darkroom.simulate.recording import Decisions
from darkroom.simulate.requests import ABANDONED, DONE, RUNNING, WAITING, Deadlines, Outcome, Request
from darkroom.simulate.sharing import SharedProgress

SUCCEEDED, FAILED = Outcome.SUCCEEDED, Outcome.FAILED


class SimulatedService:
    def __init__(
        self,
        model: ServiceModel,
        scenario: Scenario,
        agenda: Agenda,
        pool: SimulatedPool,
        draws: ServiceDraws,
        cpu: SharedProgress | None,
    ) -> None:
        self.model = model
        self.pool = pool
        self.requests = self.cold_requests = self.longest_queue = 0
        self.outcomes = [0] * len(Outcome)
        self.busy_seconds = 0.0
        self._agenda = agenda
        self._enter = agenda.enter
        self._index = pool.index
        self._draws = draws
        self._draw_time_s = draws.service_time_s
        self._cpu = cpu
        self._cpu_fraction = model.cpu_fraction if cpu is not None else 0.0
        self._workers = model.workers
        self._may_fail = model.failure_rate > 0
        self.load = LoadIntegral(0.0)
        self.line: WaitingLine[Request] = WaitingLine(model.max_queued)
        self._config = replace(model.scaling, scale_to_zero_grace_s=scenario.platform.scale_to_zero_grace_s)
        self._loop = _scaling_loop(self._config, scenario, pool)
        self.decisions = Decisions(self._loop.wanted)
        self._is_asleep = False
        """No decisions are made: all of them would be zero until a request comes."""
        pool.on_change = self._assign_waiting
        self._timer_late_s = scenario.timer_late_s
        agenda.enter(0.0, self._tick, self._loop.due_s)

    @property
    def wanted(self) -> int:
        return self._loop.wanted

    @property
    def busy(self) -> int:
        return self.load.current - len(self.line)

    def deadlines(self, after_s: float) -> Deadlines:
        """Return the deadlines of a caller that waits this long at most; the revision's timeout may be shorter."""
        outcome = Outcome.TIMED_OUT if self.model.timeout_s <= after_s else Outcome.GIVEN_UP

        def expire(now_s: float, request: Request) -> None:
            self._expire(now_s, request, outcome)

        return Deadlines(self._agenda, min(after_s, self.model.timeout_s), expire)

    # --- a request's path ---------------------------------------------------------------------------------------------

    def arrive(self, now_s: float, request: Request, deadlines: Deadlines) -> None:
        request.entered_s = now_s
        self.requests += 1
        self.load.enter(now_s)
        if not self.line:
            instance = self._index.take()
            if instance is not None:
                self._serve(now_s, instance, request)
                deadlines.add(request)
                return
        self._wait_in_line(now_s, request, deadlines)

    def _wait_in_line(self, now_s: float, request: Request, deadlines: Deadlines) -> None:
        if self.line.is_full:
            self.load.leave(now_s)
            request.state = DONE
            # Answered from the agenda, since the answer may bring the next request.
            self._enter(now_s, self._refuse, request)
            return
        self.line.join(request)
        deadlines.add(request)
        if len(self.line) > self.longest_queue:
            self.longest_queue = len(self.line)
        pool = self.pool
        if not pool.ready:
            self._poke(now_s)
        if pool.ready < len(pool.kept) or not pool.ready:
            request.cold = True
            self.cold_requests += 1

    def _serve(self, now_s: float, instance: SimulatedInstance, request: Request) -> None:
        request.instance = instance
        request.state = RUNNING
        request.began_s = now_s
        if self._workers:
            if instance.running >= self._workers:
                instance.backlog.append(request)
                return
            instance.running += 1
        self._work(now_s, request)

    def _work(self, now_s: float, request: Request) -> None:
        time_s = self._draw_time_s() * request.size
        if not self._cpu_fraction:
            self._enter(now_s + time_s, self._finish, request)
        elif self._cpu is None:
            raise RuntimeError("CPU time without cores")
        elif self._cpu_fraction < 1:
            self._cpu.begin(now_s, time_s * self._cpu_fraction, self._computed, (request, time_s))
        else:
            self._cpu.begin(now_s, time_s, self._finish, request)

    def _computed(self, now_s: float, argument: tuple[Request, float]) -> None:
        """The CPU time of a request is over; the rest of its time is waiting for others."""
        request, time_s = argument
        self._enter(now_s + time_s * (1.0 - self._cpu_fraction), self._finish, request)

    def _finish(self, now_s: float, request: Request) -> None:
        instance = request.instance
        if instance is None:
            raise RuntimeError("a request without an instance ends")
        if self._workers:
            self._free_worker(now_s, instance)
        if request.state == ABANDONED:
            return
        request.state = DONE
        self._release(now_s, instance, request)
        outcome = FAILED if self._may_fail and self._draws.fails() else SUCCEEDED
        self.outcomes[outcome] += 1
        request.caller.answered(now_s, request, outcome)

    def _free_worker(self, now_s: float, instance: SimulatedInstance) -> None:
        while instance.backlog:
            following = instance.backlog.popleft()
            if following.state == RUNNING:
                self._work(now_s, following)
                return
        instance.running -= 1

    def _release(self, now_s: float, instance: SimulatedInstance, request: Request) -> None:
        self.load.leave(now_s)
        self.busy_seconds += now_s - request.began_s
        if instance.is_ready:
            self._index.give_back(instance)
            if self.line:
                self._assign_waiting(now_s)
            return
        instance.in_flight -= 1
        if not instance.in_flight:
            self.pool.stop(now_s, instance)

    def _assign_waiting(self, now_s: float) -> None:
        while self.line:
            instance = self._index.take()
            if instance is None:
                return
            self._serve(now_s, instance, self.line.take_first())

    def _refuse(self, now_s: float, request: Request) -> None:
        self.outcomes[Outcome.REFUSED] += 1
        request.caller.answered(now_s, request, Outcome.REFUSED)

    def _expire(self, now_s: float, request: Request, outcome: Outcome) -> None:
        if request.state == WAITING:
            request.state = DONE
            self.line.leave(request)
            self.load.leave(now_s)
        elif request.instance is not None:
            # The connection is closed; the instance may go on working.
            request.state = ABANDONED
            self._release(now_s, request.instance, request)
        self.outcomes[outcome] += 1
        request.caller.answered(now_s, request, outcome)

    # --- the autoscaler -----------------------------------------------------------------------------------------------

    def _poke(self, now_s: float) -> None:
        if self._loop.wanted:
            return
        if self._is_asleep:
            self._is_asleep = False
            self._loop.skip_idle(now_s)
        self._advance(now_s, poked=True)

    def _tick(self, now_s: float, due_s: float) -> None:
        # A decision that was made at once has put off the next one.
        if due_s == self._loop.due_s and not self._is_asleep:
            self._advance(now_s, poked=False)

    def _advance(self, now_s: float, *, poked: bool) -> None:
        loop = self._loop
        decided = loop.advance(self._config, now_s, self.load.take_average, self.pool.count_ready, poked=poked)
        if decided is not None:
            self.decisions.add(now_s, decided)
            self.pool.scale_to(now_s, decided.decision.desired)
            if not self.load.current and not decided.metrics.stable and loop.is_settled_at_zero:
                self._is_asleep = True
                return
        self._enter(loop.due_s + self._timer_late_s, self._tick, loop.due_s)


def _scaling_loop(config: ScalingConfig, scenario: Scenario, pool: SimulatedPool) -> ScalingLoop:
    """Create the autoscaler, and the instances that there are at the beginning."""
    if scenario.begin is Begin.IDLE:
        pool.start_ready(config.min_scale)
        state = ScalerState(active_since_s=-config.window_s if config.min_scale else None)
        loop = ScalingLoop(config, -config.window_s - 1, wanted=config.min_scale, state=state)
        loop.skip_idle(0.0)
        return loop
    wanted = config.min_scale
    if scenario.platform.uses_initial_scale:
        wanted = max(wanted, config.initial_scale)
    pool.scale_to(0.0, wanted)
    return ScalingLoop(config, 0.0, wanted=wanted)
