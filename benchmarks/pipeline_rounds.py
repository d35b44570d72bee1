"""The cases of the pipeline benchmark, and the figures of one round of its contestants."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from benchmarks.measure.closed_loop import Measured
from benchmarks.measure.raw_render import RawRender

CORES = os.cpu_count() or 1
DISTURBED = 0.05
"""A round in which other processes took more than this share of the machine is marked."""
RAW = "raw render"
UPLOADED, STORED, WAITED = "uploaded", "from storage", "uploaded and waited for"
THUMBOR_S3, THUMBOR_FILE = "thumbor, S3 to S3", "thumbor, from a file"
OURS = (UPLOADED, STORED, WAITED)
GOAL_OUTSIDE_MS = 12.0
THIRD_PARTY = ("nats", "redis", "s3")
"""Third-party servers, which we cannot make faster."""


@dataclass(frozen=True, kw_only=True)
class Case:
    name: str
    source: tuple[int, int]
    target: tuple[int, int]
    goal: float
    """The share of the raw render's throughput to reach."""

    @property
    def parameters(self) -> dict[str, Any]:
        return {"width": self.target[0], "height": self.target[1]}

    @property
    def title(self) -> str:
        return f"{self.name}: JPEG {_size(self.source)} to {_size(self.target)}"


CASES = (
    Case(name="2k", source=(2048, 1536), target=(512, 384), goal=0.35),
    Case(name="12mp", source=(4000, 3000), target=(400, 300), goal=0.7),
)


@dataclass(frozen=True, kw_only=True)
class Round:
    raw: RawRender
    measured: dict[str, Measured]
    rendering_ms: dict[str, float]
    """CPU time of a job's render by the clock of the process that did it; our contestants only."""

    def of_raw(self, name: str) -> float:
        return self.measured[name].per_s / self.raw.per_s

    def of_raw_by_cpu(self, name: str) -> float:
        """Return the ratio of throughputs on a machine where nothing else runs and no core is ever idle."""
        measured = self.measured[name]
        client_ms = measured.client_s * 1000 / measured.count
        return self.raw.cpu_ms_each / (measured.total_ms_each + client_ms)

    def outside_ms(self, name: str) -> float:
        """Return the CPU time of everything measured for this contestant, minus that of the render."""
        return self.measured[name].total_ms_each - self.raw.cpu_ms_each

    def ours_outside_ms(self, name: str) -> float:
        """Return the CPU time of our own processes minus the raw render: the render's loss by shared caches counts as
        outside.
        """
        return self.outside_ms(name) - self.third_party_ms(name)

    def ours_outside_own_render_ms(self, name: str) -> float:
        """Return the CPU time of our own processes minus the render as it ran in them."""
        return self.measured[name].total_ms_each - self.third_party_ms(name) - self.rendering_ms[name]

    def third_party_ms(self, name: str) -> float:
        return sum(self.measured[name].milliseconds_each(server) for server in THIRD_PARTY)

    @property
    def disturbed(self) -> bool:
        return any(one.others_s > DISTURBED * CORES * one.seconds for one in self.measured.values())


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
