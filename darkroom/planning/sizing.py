"""Pods, max-scale and the Broker's throttles that a demand needs, consistent with what `darkroom check` wants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil

from darkroom.planning.demand import Demand
from darkroom.planning.policy import ACK_PENDING_PER_PLACE, MAX_ROUNDS, WORKER_USE

FRONT_DOOR = ("ingest", "status", "recovery")


@dataclass(frozen=True, kw_only=True)
class FunctionShape:
    """What a Service's manifest sets."""

    container_concurrency: int = 0
    """0: no limit, the pod's CPU decides."""
    cpu_limit: float = 1.0
    """Cores."""
    memory_bytes: float | None = None
    min_scale: int = 0
    max_scale: int = 0
    """0: no maximum."""
    takes_jobs: bool = False
    """Whether a Trigger of the jobs' Broker delivers to it."""


SHAPES: Mapping[str, FunctionShape] = {
    "ingest": FunctionShape(min_scale=1, max_scale=10),
    "status": FunctionShape(min_scale=1, max_scale=10),
    "recovery": FunctionShape(container_concurrency=4, max_scale=2),
}
"""For functions whose manifests are not there to be read; a renderer's shape follows from its cost class."""
_STANDARD = FunctionShape(container_concurrency=2, cpu_limit=2.0, takes_jobs=True)
_HEAVY = FunctionShape(container_concurrency=1, cpu_limit=1.0, takes_jobs=True)


@dataclass(frozen=True, kw_only=True)
class FunctionSize:
    name: str
    mean_cores: float
    peak_cores: float
    exact_pods: float
    """Pods at the peak, before they are rounded up."""
    pods_on_average: int
    max_scale: int
    container_concurrency: int
    pod_bytes: float

    @property
    def pods_at_peak(self) -> int:
        return self.max_scale


@dataclass(frozen=True, kw_only=True)
class Sizing:
    functions: tuple[FunctionSize, ...]
    """The renderer first."""
    max_ack_pending: int
    exact_places: float
    """What maxAckPending must be at least, so that every pod of the peak has work."""
    lowest_max_scales: Mapping[str, int]
    """For the other functions on the same Broker: the max-scale below which so many deliveries at once are too many."""

    @property
    def broker_window(self) -> int:
        """Return BROKER_WINDOW: less starves the autoscaler, more waits in the stream, outside the fair turns."""
        return self.max_ack_pending

    @property
    def renderer(self) -> FunctionSize:
        return self.functions[0]


def compute_sizing(demand: Demand, shapes: Mapping[str, FunctionShape]) -> Sizing:
    """Compute pods and throttles; `shapes` are those of the manifests, as far as there are any."""
    renderer = _renderer(demand, shapes)
    capacity = renderer.max_scale * renderer.container_concurrency
    others = {
        name: shape
        for name, shape in shapes.items()
        if shape.takes_jobs and name != renderer.name and shape.container_concurrency
    }
    largest = max((shape.max_scale * shape.container_concurrency for shape in others.values()), default=0)
    max_ack_pending = max(ACK_PENDING_PER_PLACE * capacity, largest)
    return Sizing(
        functions=(renderer, *_front_door(demand, shapes)),
        max_ack_pending=max_ack_pending,
        exact_places=renderer.exact_pods * renderer.container_concurrency,
        lowest_max_scales={
            name: ceil(max_ack_pending / (MAX_ROUNDS * shape.container_concurrency)) for name, shape in others.items()
        },
    )


def _renderer(demand: Demand, shapes: Mapping[str, FunctionShape]) -> FunctionSize:
    name = demand.workload.function
    shape = shapes.get(name) or (_HEAVY if name.endswith("-heavy") else _STANDARD)
    # Without a limit on concurrency, a pod does as many jobs at once as it has cores.
    places = shape.container_concurrency or max(1, int(shape.cpu_limit))
    by_places = demand.busy_workers_at_peak / (places * WORKER_USE)
    by_cpu = demand.cores_at_peak(name) / (shape.cpu_limit * WORKER_USE)
    return _size(demand, name, max(by_places, by_cpu), places)


def _front_door(demand: Demand, shapes: Mapping[str, FunctionShape]) -> Iterator[FunctionSize]:
    for name in FRONT_DOOR:
        shape = shapes.get(name) or SHAPES[name]
        pods = demand.cores_at_peak(name) / (shape.cpu_limit * WORKER_USE)
        yield _size(demand, name, max(pods, float(shape.min_scale)), shape.container_concurrency)


def _size(demand: Demand, name: str, exact_pods: float, container_concurrency: int) -> FunctionSize:
    return FunctionSize(
        name=name,
        mean_cores=demand.cores(name),
        peak_cores=demand.cores_at_peak(name),
        exact_pods=exact_pods,
        pods_on_average=max(1, ceil(exact_pods / demand.workload.peak)),
        max_scale=max(1, ceil(exact_pods)),
        container_concurrency=container_concurrency,
        pod_bytes=demand.pod_bytes.get(name, 0.0),
    )
