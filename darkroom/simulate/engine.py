"""Runs a Scenario: builds its Services and flows, and lets one event after the other happen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import heappop
from math import inf

from darkroom.local.eventing.filters import passes
from darkroom.local.revisions.limit import InstanceLimit
from darkroom.simulate.agenda import Agenda
from darkroom.simulate.draws import ServiceDraws, stream
from darkroom.simulate.flow import Message, Occasional, SimulatedFlow
from darkroom.simulate.instances import SimulatedPool
from darkroom.simulate.model import Arrivals, Event, Flow, Scenario, ServiceModel, Target
from darkroom.simulate.recording import FlowRecorder, PathRecorder, Sampler, ServiceRecorder
from darkroom.simulate.result import Latencies, Result
from darkroom.simulate.service import SimulatedService
from darkroom.simulate.sharing import SharedProgress, on_cores, slowed_by_others
from darkroom.simulate.sources import Arrive, DirectRequests, Events, in_order

NO_LIMIT = 10**9


def run(scenario: Scenario) -> Result:
    """Simulate a Scenario from its beginning to its `duration_s`. The same Scenario has the same Result."""
    return _Simulation(scenario).run()


class _Simulation:
    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._agenda = Agenda()
        self._limit = InstanceLimit(scenario.platform.max_instances or NO_LIMIT)
        self._cpu = None if scenario.cores is None else SharedProgress(self._agenda, on_cores(scenario.cores))
        self._starts: dict[float, SharedProgress] = {}
        self._paths: dict[str, PathRecorder] = {}
        self._services = {model.name: self._service(model) for model in scenario.services}
        self._flows = [self._flow(model) for model in scenario.flows]
        self._receivers: dict[int, Sequence[SimulatedFlow]] = {}
        self._sources = [(each.times_s, self._source(each)) for each in scenario.arrivals]
        self._service_recorders = [ServiceRecorder(service) for service in self._services.values()]
        self._flow_recorders = [FlowRecorder(flow) for flow in self._flows]
        samples = [each.sample for each in self._service_recorders] + [each.sample for each in self._flow_recorders]
        self._sampler = Sampler(self._agenda, scenario.sample_s, samples)

    def run(self) -> Result:
        duration_s = self._scenario.duration_s
        _let_happen(in_order(self._sources, duration_s), self._agenda, duration_s)
        times_s = self._sampler.times_s
        services = [each.result(times_s, duration_s) for each in self._service_recorders]
        flows = [each.result() for each in self._flow_recorders]
        return Result(
            seed=self._scenario.seed,
            duration_s=duration_s,
            services={each.name: each for each in services},
            flows={each.name: each for each in flows},
            latencies=_latencies(self._paths.values()),
        )

    # --- building -----------------------------------------------------------------------------------------------------

    def _service(self, model: ServiceModel) -> SimulatedService:
        growth = model.cold_start.growth
        if growth not in self._starts:
            self._starts[growth] = SharedProgress(self._agenda, slowed_by_others(growth, self._scenario.nodes))
        draws = ServiceDraws(model, self._scenario.seed)
        pool = SimulatedPool(model, self._agenda, self._limit, draws.cold_start_s, self._starts[growth], self._cpu)
        return SimulatedService(model, self._scenario, self._agenda, pool, draws, self._cpu)

    def _flow(self, model: Flow) -> SimulatedFlow:
        return SimulatedFlow(
            model,
            self._agenda,
            None if model.service is None else self._services[model.service],
            None if model.dead_letter_service is None else self._services[model.dead_letter_service],
            self._path(f"trigger {model.name}"),
            self._occasional(model.reply, "reply", model.name, keeps_arrival=False),
        )

    def _source(self, arrivals: Arrivals) -> Arrive:
        if arrivals.kind is Target.SERVICE:
            service = self._services[arrivals.to]
            emission = self._occasional(service.model.emits, "emission", service.model.name, keeps_arrival=True)
            return DirectRequests(arrivals, service, self._path(f"service {arrivals.to}"), emission).arrive
        if arrivals.kind is Target.TRIGGER:
            return Events(arrivals, [flow for flow in self._flows if flow.model.name == arrivals.to]).arrive
        return Events(arrivals, self._receiving(arrivals.to, arrivals.attributes)).arrive

    def _path(self, name: str) -> PathRecorder:
        return self._paths.setdefault(name, PathRecorder(name))

    def _receiving(self, broker: str, attributes: Mapping[str, str]) -> Sequence[SimulatedFlow]:
        return [flow for flow in self._flows if flow.model.broker == broker and _accepts(flow.model, attributes)]

    def _occasional(self, event: Event | None, kind: str, name: str, *, keeps_arrival: bool) -> Occasional | None:
        """`keeps_arrival`: the latency of what follows counts from the arrival that it follows from."""
        if event is None:
            return None
        emit = self._emit if keeps_arrival else self._emit_anew
        return Occasional(event, stream(self._scenario.seed, kind, name), emit)

    # --- events that follow from others -------------------------------------------------------------------------------

    def _emit(self, now_s: float, event: Event, message: Message) -> None:
        receivers = self._receivers.get(id(event))
        if receivers is None:
            receivers = self._receivers[id(event)] = self._receiving(event.broker, event.attributes)
        for flow in receivers:
            following = Message(message.arrived_s, message.size, message.owner)
            following.cold = message.cold
            flow.publish(now_s, following)

    def _emit_anew(self, now_s: float, event: Event, message: Message) -> None:
        self._emit(now_s, event, Message(now_s, message.size, message.owner))


def _accepts(flow: Flow, attributes: Mapping[str, str]) -> bool:
    return flow.trigger is None or passes(flow.trigger, attributes)


def _latencies(paths: Iterable[PathRecorder]) -> Mapping[str, Latencies]:
    return {each.path: each for path in paths if (each := path.result()).count}


def _let_happen(arrivals: Iterator[tuple[float, Arrive]], agenda: Agenda, until_s: float) -> None:
    """Let everything happen in the order of time. Arrivals are not entered in the agenda, which keeps that short."""
    heap, none = agenda.heap, (inf, _never)
    next_s, arrive = next(arrivals, none)
    while True:
        if next_s <= heap[0][0]:
            arrive(next_s)
            next_s, arrive = next(arrivals, none)
        else:
            at_s, _, handler, argument = heappop(heap)
            if at_s > until_s:
                return
            handler(at_s, argument)


def _never(now_s: float) -> None:
    raise RuntimeError("nothing arrives any more")
