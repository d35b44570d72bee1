"""What a demand costs a month, by unit prices from a file."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, ValidationError

from darkroom.contract.parameters.values import FrozenModel
from darkroom.planning.demand import WRITES, Demand
from darkroom.planning.policy import APPEND_ONLY_FACTOR
from darkroom.planning.postgres import LOG_BYTES, disk_bytes
from darkroom.planning.sizing import Sizing
from darkroom.planning.workload import REDIS

DAYS_PER_MONTH = 30
_HOURS_PER_MONTH = DAYS_PER_MONTH * 24
_GIB = 2**30

Price = Annotated[float, Field(ge=0)]


class PricesError(ValueError):
    """A price file that cannot be used. The message says why."""


class UnitPrices(FrozenModel):
    cpu_core_hour: Price
    memory_gib_hour: Price
    disk_gib_month: Price
    storage_gib_month: Price
    storage_writes_per_1000: Price
    storage_reads_per_1000: Price
    egress_gib: Price


class Prices(FrozenModel):
    label: str
    """Printed beside every amount, so that an example is never taken for an offer."""
    currency: str
    prices: UnitPrices


@dataclass(frozen=True, kw_only=True)
class Bill:
    label: str
    currency: str
    items: Mapping[str, float]
    """Per month, by what is paid for."""

    @property
    def total(self) -> float:
        return sum(self.items.values())


def parse_prices(text: str) -> Prices:
    """Parse a price file. Raises PricesError, which names each wrong key."""
    try:
        return Prices.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as exc:
        raise PricesError(f"not TOML: {exc}") from exc
    except ValidationError as exc:
        wrong = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in exc.errors())
        raise PricesError(wrong) from exc


def compute_bill(demand: Demand, sizing: Sizing, prices: Prices) -> Bill:
    return Bill(label=prices.label, currency=prices.currency, items=dict(_items(demand, sizing, prices.prices)))


def _items(demand: Demand, sizing: Sizing, unit: UnitPrices) -> Iterator[tuple[str, float]]:
    pods_bytes = sum(each.pods_on_average * each.pod_bytes for each in sizing.functions)
    yield "CPU, as used", demand.mean_cores * _HOURS_PER_MONTH * unit.cpu_core_hour
    yield "memory of pods, on average", pods_bytes / _GIB * _HOURS_PER_MONTH * unit.memory_gib_hour
    if demand.workload.store == REDIS:
        yield "memory of Redis", demand.redis_maxmemory_bytes / _GIB * _HOURS_PER_MONTH * unit.memory_gib_hour
        yield "disk of Redis", demand.records_bytes * APPEND_ONLY_FACTOR / _GIB * unit.disk_gib_month
    else:
        yield "disk of PostgreSQL, a copy", (disk_bytes(demand) + LOG_BYTES) / _GIB * unit.disk_gib_month
    yield "storage at rest", demand.stored_bytes / _GIB * unit.storage_gib_month
    for name, price in (("writes", unit.storage_writes_per_1000), ("reads", unit.storage_reads_per_1000)):
        count = sum(
            demand.s3_requests_per_day(method)
            for method in demand.s3_requests
            if (method in WRITES) == (name == "writes")
        )
        yield f"storage's {name}", count * DAYS_PER_MONTH / 1000 * price
    yield "results to clients", demand.downloaded_bytes_per_day * DAYS_PER_MONTH / _GIB * unit.egress_gib
