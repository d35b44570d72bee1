"""What is deployed now, and which part of it is the first to be too small for a demand.

The command line reads it from manifests; a value that they do not have is None, and is not compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from darkroom.planning.demand import Demand
from darkroom.planning.policy import APPEND_ONLY_FACTOR, DISK_USE, STORE_USE
from darkroom.planning.sizing import FunctionShape, Sizing
from darkroom.planning.wording import format_bytes, format_number
from darkroom.planning.workload import REDIS


@dataclass(frozen=True, kw_only=True)
class Deployment:
    functions: Mapping[str, FunctionShape] = field(default_factory=dict)
    max_ack_pending: int | None = None
    broker_window: int | None = None
    redis_maxmemory_bytes: float | None = None
    redis_disk_bytes: float | None = None
    jetstream_bytes: float | None = None
    """What the server gives to streams on disk."""
    storage_bytes: float | None = None
    """Of all volumes of the S3 server; erasure coding or replicas leave less."""
    job_retention_s: float | None = None
    rate_per_minute: float | None = None
    """Jobs that one key may ask for."""
    sources: tuple[str, ...] = ()
    """The files that were read."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of a deployment, compared with what is needed of it."""

    name: str
    needed: float
    available: float
    unit: str
    sentence: str
    grows_with_load: bool = True

    @property
    def use(self) -> float:
        """Return needed / available; above 1 it is too small."""
        return self.needed / self.available if self.available else float("inf")

    def largest_per_day(self, per_day: int) -> float:
        """Return the load at which the part is just large enough, if what is needed grows in proportion."""
        return per_day / self.use


def compare(demand: Demand, sizing: Sizing, deployment: Deployment) -> list[Part]:
    """Compare each part, the smallest in proportion first."""
    parts = [
        *_functions(demand, sizing, deployment),
        *_broker(demand, sizing, deployment),
        *_job_store(demand, deployment),
        *_storage(demand, deployment),
        *_front_door(demand, deployment),
    ]
    return sorted(parts, key=lambda part: -part.use)


def _functions(demand: Demand, sizing: Sizing, deployment: Deployment) -> Iterator[Part]:
    for function in sizing.functions:
        shape = deployment.functions.get(function.name)
        if shape is None:
            continue
        if shape.max_scale:
            yield Part(
                name=f"{function.name}: max-scale",
                needed=function.exact_pods,
                available=shape.max_scale,
                unit="pods",
                sentence=f"at the peak, {function.name} needs {function.pods_at_peak} pods and max-scale allows "
                f"{shape.max_scale}: beyond it, {'jobs' if shape.takes_jobs else 'requests'} wait",
            )
        if shape.memory_bytes and function.pod_bytes:
            yield Part(
                name=f"{function.name}: memory of a pod",
                needed=function.pod_bytes,
                available=shape.memory_bytes,
                unit="bytes",
                sentence=f"a pod of {function.name} takes {format_bytes(function.pod_bytes)} of its limit of "
                f"{format_bytes(shape.memory_bytes)}; with more it is killed, and its jobs are tried again",
                grows_with_load=False,
            )


def _broker(demand: Demand, sizing: Sizing, deployment: Deployment) -> Iterator[Part]:
    busy = demand.busy_workers_at_peak
    for name, available in (
        ("maxAckPending", deployment.max_ack_pending),
        ("BROKER_WINDOW", deployment.broker_window),
    ):
        if available:
            yield Part(
                name=f"Broker: {name}",
                needed=sizing.exact_places,
                available=available,
                unit="jobs",
                sentence=f"{format_number(busy)} jobs are in work at the peak, for which "
                f"{format_number(sizing.exact_places)} places must be filled, and {name} lets {available} be delivered "
                "at once: beyond it, workers wait for events",
            )
    if deployment.jetstream_bytes:
        held = sizing.broker_window * demand.jetstream_bytes
        yield Part(
            name="JetStream: file store",
            needed=held,
            available=deployment.jetstream_bytes * DISK_USE,
            unit="bytes",
            sentence=f"at most BROKER_WINDOW events are in the stream, {format_bytes(held)} of "
            f"{format_bytes(deployment.jetstream_bytes)}; the rest waits in the job store",
        )


def _job_store(demand: Demand, deployment: Deployment) -> Iterator[Part]:
    records, memory = demand.records_bytes, deployment.redis_maxmemory_bytes
    if demand.workload.store != REDIS:
        return
    if memory:
        yield Part(
            name="Redis: maxmemory",
            needed=records,
            available=memory * STORE_USE,
            unit="bytes",
            sentence=f"{format_number(demand.finished_records + demand.unfinished_records)} records take "
            f"{format_bytes(records)}, and ingest refuses jobs (backlog.full) above {STORE_USE:.0%} of maxmemory, "
            f"{format_bytes(memory)}",
        )
    if deployment.redis_disk_bytes:
        needed = records * APPEND_ONLY_FACTOR
        yield Part(
            name="Redis: disk",
            needed=needed,
            available=deployment.redis_disk_bytes,
            unit="bytes",
            sentence=f"the append-only file and its rewrite take up to {format_bytes(needed)} of a volume of "
            f"{format_bytes(deployment.redis_disk_bytes)}",
        )


def _storage(demand: Demand, deployment: Deployment) -> Iterator[Part]:
    if deployment.storage_bytes:
        yield Part(
            name="storage: volumes",
            needed=demand.stored_bytes,
            available=deployment.storage_bytes * DISK_USE,
            unit="bytes",
            sentence=f"originals and results take {format_bytes(demand.stored_bytes)}, the S3 server's volumes have "
            f"{format_bytes(deployment.storage_bytes)}",
        )


def _front_door(demand: Demand, deployment: Deployment) -> Iterator[Part]:
    if deployment.rate_per_minute:
        needed = demand.workload.peak_per_s * 60 / demand.workload.keys
        yield Part(
            name="ingest: RATE_LIMIT",
            needed=needed,
            available=deployment.rate_per_minute,
            unit="jobs a minute and key",
            sentence=f"each of {demand.workload.keys} keys asks for {format_number(needed)} jobs a minute at the peak, "
            f"and RATE_LIMIT allows {format_number(deployment.rate_per_minute)}: beyond it, rate.limited",
        )
