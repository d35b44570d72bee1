"""What one job costs, as benchmarks/costs.py measured it on a running stack of this version."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from darkroom.contract.parameters.values import Format, FrozenModel

RENDER = "resize"
"""The process whose cost depends on pixels; all others' depends on bytes."""

Amount = Annotated[float, Field(ge=0)]


class About(FrozenModel):
    """Where the figures come from."""

    measured: str
    command: str
    machine: tuple[str, ...]
    versions: Mapping[str, str]
    reference_cpu_ms: Amount
    """CPU time of a job of benchmarks/cost_cases.REFERENCE: a machine that takes twice as long for it takes twice as
    long for everything."""
    worst_ratio: Amount
    """Of the fitted cases, the CPU time per job that is farthest from the measured one, as fitted / measured."""


class PerPixel(FrozenModel):
    """CPU time in milliseconds: a constant, and so much per megapixel, by format."""

    constant: Amount
    per_megapixel_read: Mapping[Format, Amount]
    per_megapixel_written: Mapping[Format, Amount]


class PerByte(FrozenModel):
    constant: Amount
    per_megabyte: Amount
    """Of the original and the result."""


class ResultBytes(FrozenModel):
    constant: Amount
    per_megapixel: Amount


class RedisBytes(FrozenModel):
    unfinished: Amount
    finished: Amount


class JetStream(FrozenModel):
    writes: Amount
    bytes: Amount


class S3Requests(FrozenModel):
    """Requests of one job, by method. An original of at least `from_bytes` is streamed to storage in parts."""

    whole: Mapping[str, Amount]
    streamed: Mapping[str, Amount]
    from_bytes: Annotated[int, Field(ge=1)]

    def of(self, picture_bytes: int) -> Mapping[str, float]:
        return self.streamed if picture_bytes >= self.from_bytes else self.whole


class PodBytes(FrozenModel):
    """Memory of one pod. Renderers' depends on the pictures."""

    fixed: Mapping[str, Amount]
    render_constant: Amount
    render_per_megapixel_read: Amount
    render_per_megapixel_written: Amount


class Costs(FrozenModel):
    about: About
    render_cpu_ms: PerPixel
    cpu_ms: Mapping[str, PerByte]
    """By process. `platform` is the local runtime: gateway, Broker, activator and autoscaler in one."""
    read_cpu_ms: Mapping[str, Amount]
    """CPU time of one GET of a finished job, by process."""
    standing_cores: Mapping[str, Amount]
    """CPU time a second that an installation takes while there is nothing to do, by process."""
    waiting_ms: Amount
    """How much longer than its CPU time a job occupies a worker when nothing else runs."""
    result_bytes: Mapping[Format, ResultBytes]
    redis_bytes: RedisBytes
    jetstream: JetStream
    s3_requests: S3Requests
    pod_bytes: PodBytes

    @property
    def formats_read(self) -> tuple[Format, ...]:
        return tuple(self.render_cpu_ms.per_megapixel_read)

    @property
    def formats_written(self) -> tuple[Format, ...]:
        return tuple(self.render_cpu_ms.per_megapixel_written)


def parse_costs(text: str) -> Costs:
    """Parse the data file. Raises ValueError."""
    return Costs.model_validate(json.loads(text))
