"""Scenarios in one line each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from darkroom.local.eventing.delivery import ConsumerSettings, DeliverySpec
from darkroom.manifests.revision import ScalingConfig
from darkroom.simulate import Arrivals, ColdStart, Distribution, Flow, Scenario, ServiceModel, Target

AT_ONCE = ColdStart(alone=Distribution.constant(0.0))


def service(
    name: str = "a", *, takes_s: float = 1.0, scaling: dict[str, Any] | None = None, **fields: Any
) -> ServiceModel:
    """One request at a time, and an instance that is there from the beginning, unless the scaling says otherwise."""
    config = {"container_concurrency": 1, "target": 1.0, "target_utilization": 1.0, "min_scale": 1, **(scaling or {})}
    defaults = {"service_time": Distribution.constant(takes_s), "cold_start": AT_ONCE}
    return ServiceModel(name=name, scaling=ScalingConfig(**config), **{**defaults, **fields})


def requests(*times_s: float, to: str = "a", **fields: Any) -> Arrivals:
    return Arrivals(name=f"requests to {to}", kind=Target.SERVICE, to=to, times_s=times_s, **fields)


def events(*times_s: float, to: str = "t", **fields: Any) -> Arrivals:
    return Arrivals(name=f"events to {to}", kind=Target.TRIGGER, to=to, times_s=times_s, **fields)


def trigger(
    name: str = "t",
    *,
    retry: int = 0,
    delay_s: float = 1.0,
    max_ack_pending: int = 1000,
    timeout_s: float = 30.0,
    **fields: Any,
) -> Flow:
    consumer = ConsumerSettings(
        max_deliver=retry + 1, ack_wait_s=timeout_s + 0.2, max_ack_pending=max_ack_pending, http_timeout_s=timeout_s
    )
    delivery = DeliverySpec(retry=retry, backoff_delay_s=delay_s, **fields.pop("delivery", {}))
    defaults = {"broker": "default/b", "service": "a", "delivery": delivery, "consumer": consumer}
    return Flow(name=name, **{**defaults, **fields})


def scenario(*parts: ServiceModel | Flow | Arrivals, duration_s: float = 100.0, **fields: Any) -> Scenario:
    def of(kind: type) -> tuple[Any, ...]:
        return tuple(part for part in parts if isinstance(part, kind))

    return Scenario(services=of(ServiceModel), flows=of(Flow), arrivals=of(Arrivals), duration_s=duration_s, **fields)


def every(interval_s: float, count: int, *, first_s: float = 0.0) -> Sequence[float]:
    return [first_s + interval_s * number for number in range(count)]
