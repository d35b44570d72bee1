"""The simulated instances of one Service: started, chosen, drained and stopped as the runtime's pool does it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from darkroom.local.revisions.limit import InstanceLimit
from darkroom.local.revisions.queueing import surplus
from darkroom.simulate.agenda import Agenda
from darkroom.simulate.model import ServiceModel
from darkroom.simulate.requests import Request
from darkroom.simulate.sharing import Job, SharedProgress


class SimulatedInstance:
    __slots__ = ("backlog", "began_s", "bit", "in_flight", "is_ready", "job", "running", "sharing")

    def __init__(self, bit: int, began_s: float) -> None:
        self.bit = bit
        """One bit of a number, in the order of the starts."""
        self.began_s = began_s
        self.in_flight = 0
        self.is_ready = False
        self.running = 0
        """Requests that it works on; of a Service with `workers`."""
        self.backlog: deque[Request] = deque()
        """Requests that wait inside it for a worker."""
        self.job: Job | None = None
        """Its start."""
        self.sharing: SharedProgress | None = None


class LeastBusy:
    """Finds the ready instance with the fewest requests, the one that was started first among equals, in constant time:
    `queueing.least_busy` looks at each of them, which a million requests cannot afford.

    For each number of requests there is a set of instances, as bits of one integer.
    """

    __slots__ = ("_by_bit", "_levels", "_limit", "_lowest")

    def __init__(self, limit: int) -> None:
        """`limit`: requests per instance; 0: no limit."""
        self._limit = limit
        self._by_bit: dict[int, SimulatedInstance] = {}
        self._levels: list[int] = [0]
        self._lowest = 0
        """No instance has fewer requests."""

    def add(self, instance: SimulatedInstance) -> None:
        self._by_bit[instance.bit] = instance
        self._levels[0] |= instance.bit
        self._lowest = 0

    def remove(self, instance: SimulatedInstance) -> None:
        del self._by_bit[instance.bit]
        self._levels[instance.in_flight] ^= instance.bit

    def take(self) -> SimulatedInstance | None:
        """Give one more request to the least busy instance, if any has room."""
        levels, level = self._levels, self._lowest
        last = len(levels) - 1
        while not levels[level]:
            if level == last:
                return None
            level += 1
        self._lowest = level
        if level == self._limit and level:
            return None
        bit = levels[level] & -levels[level]
        levels[level] ^= bit
        if level == last:
            levels.append(bit)
        else:
            levels[level + 1] |= bit
        instance = self._by_bit[bit]
        instance.in_flight = level + 1
        return instance

    def give_back(self, instance: SimulatedInstance) -> None:
        """Take one request away from an instance."""
        level, bit = instance.in_flight, instance.bit
        self._levels[level] ^= bit
        level -= 1
        self._levels[level] |= bit
        instance.in_flight = level
        if level < self._lowest:
            self._lowest = level


class SimulatedPool:
    """`on_change` is called when an instance has become ready or is gone."""

    def __init__(
        self,
        model: ServiceModel,
        agenda: Agenda,
        limit: InstanceLimit,
        draw_start_s: Callable[[], float],
        starts: SharedProgress,
        cpu: SharedProgress | None,
    ) -> None:
        self.on_change: Callable[[float], None] = lambda now_s: None
        self.index = LeastBusy(model.container_concurrency)
        self.kept: list[SimulatedInstance] = []
        """Those that are starting or ready, in the order of their starts."""
        self.ready = 0
        self.draining = 0
        self.starts = 0
        self.pod_seconds = 0.0
        """Of the instances that are gone."""
        self.reserved = model.scaling.min_scale
        self._model = model
        self._agenda = agenda
        self._limit = limit
        self._draw_start_s = draw_start_s
        self._starting = starts
        self._cpu = cpu
        self._desired = 0
        self._next_bit = 1
        self._leaving: list[SimulatedInstance] = []
        limit.join(self)

    @property
    def processes(self) -> int:
        return len(self.kept) + len(self._leaving)

    @property
    def starting(self) -> int:
        return len(self.kept) - self.ready

    def count_ready(self) -> int:
        return self.ready

    def pod_seconds_until(self, now_s: float) -> float:
        return self.pod_seconds + sum(now_s - each.began_s for each in (*self.kept, *self._leaving))

    def scale_to(self, now_s: float, count: int) -> None:
        self._agenda.scaled_at_s = now_s
        self._desired = count
        if count != len(self.kept):
            self.reconcile()

    def reconcile(self) -> None:
        """Start missing instances within the limit, and give back surplus ones. The time is that of the last change."""
        for instance in surplus(self.kept, self._desired):
            self._retire(instance)
        for _ in range(self._desired - len(self.kept)):
            if not self._limit.allows_one_more(self):
                return
            self._launch()

    def start_ready(self, count: int) -> None:
        """Begin with instances that are ready."""
        self._desired = count
        for _ in range(count):
            instance = self._new_instance()
            self._make_ready(instance)

    def _new_instance(self) -> SimulatedInstance:
        if not self.kept and not self._leaving:
            self._next_bit = 1
        instance = SimulatedInstance(self._next_bit, self._agenda.scaled_at_s)
        self._next_bit <<= 1
        self.kept.append(instance)
        return instance

    def _make_ready(self, instance: SimulatedInstance) -> None:
        instance.is_ready, instance.job = True, None
        self.ready += 1
        self.index.add(instance)

    def _launch(self) -> None:
        instance = self._new_instance()
        self.starts += 1
        work_s = self._draw_start_s()
        if self._cpu is None or not self._model.cold_start.cpu_s:
            self._begin(instance, self._starting, work_s)
        else:
            cpu_s = min(work_s, self._model.cold_start.cpu_s)
            instance.sharing = self._cpu
            instance.job = self._cpu.begin(
                self._agenda.scaled_at_s, cpu_s, self._initialized, (instance, work_s - cpu_s)
            )

    def _begin(self, instance: SimulatedInstance, sharing: SharedProgress, work_s: float) -> None:
        instance.sharing = sharing
        instance.job = sharing.begin(self._agenda.scaled_at_s, work_s, self._became_ready, instance)

    def _initialized(self, now_s: float, argument: tuple[SimulatedInstance, float]) -> None:
        """The CPU time of a start is over; the rest is waiting."""
        self._agenda.scaled_at_s = now_s
        self._begin(argument[0], self._starting, argument[1])

    def _became_ready(self, now_s: float, instance: SimulatedInstance) -> None:
        self._agenda.scaled_at_s = now_s
        self._make_ready(instance)
        self.on_change(now_s)

    def _retire(self, instance: SimulatedInstance) -> None:
        self.kept.remove(instance)
        if instance.job is not None and instance.sharing is not None:
            instance.sharing.cancel(self._agenda.scaled_at_s, instance.job)
            self.pod_seconds += self._agenda.scaled_at_s - instance.began_s
            self._agenda.enter(self._agenda.scaled_at_s, self._offer_room)
            return
        self.ready -= 1
        self.draining += 1
        instance.is_ready = False
        self.index.remove(instance)
        self._leaving.append(instance)
        if not instance.in_flight:
            self.stop(self._agenda.scaled_at_s, instance)

    def stop(self, now_s: float, instance: SimulatedInstance) -> None:
        """End an instance whose last request is over."""
        self._agenda.enter(now_s + self._model.stop_s, self._ended, instance)

    def _ended(self, now_s: float, instance: SimulatedInstance) -> None:
        self._agenda.scaled_at_s = now_s
        self._leaving.remove(instance)
        self.draining -= 1
        self.pod_seconds += now_s - instance.began_s
        self.on_change(now_s)
        self._limit.offer_room()

    def _offer_room(self, now_s: float, _: None) -> None:
        self._agenda.scaled_at_s = now_s
        self._limit.offer_room()
