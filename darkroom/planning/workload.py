"""The load that is planned for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite, sqrt

from darkroom.contract.limits import MEGAPIXEL, Limits
from darkroom.contract.parameters.resize import ResizeParameters
from darkroom.contract.parameters.values import Format
from darkroom.imaging.cost import CostClass, cost_class
from darkroom.imaging.facts import Facts

DAY_S = 86400
REDIS, POSTGRES = "redis", "postgres"
MAX_PER_DAY = 10**12
MAX_PEAK = 100.0
MAX_KEYS = 10**9
MAX_KEPT_S = 3660 * DAY_S
MAX_READS = 1000.0
_ASPECT = 4 / 3
"""Width by height of the pictures, where only megapixels are known."""


class WorkloadError(ValueError):
    """A part of the workload is out of range. The message has the value and the limits."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    per_day: int
    """Jobs, on a day of the kind that is planned for."""
    picture_bytes: int
    """Of an original, on average; `megapixels` likewise."""
    megapixels: float
    kept_s: float
    """How long records of finished jobs and results are kept. Originals are kept a day longer."""
    width_px: int = 512
    """Of a result."""
    keys: int = 1
    """API keys that share the load, in equal parts."""
    peak: float = 3.0
    """The busiest minutes' rate divided by the day's mean."""
    reads: float = 1.0
    """How often clients ask for a finished job and download its result."""
    backlog_s: float = 3600.0
    """How long nothing is rendered, at the peak's rate, before the job store may be full."""
    store: str = REDIS
    """`redis` or `postgres`, as in JOB_STORE."""
    job_type: str = "resize"
    read_format: Format = Format.JPEG
    written_format: Format = Format.JPEG

    def __post_init__(self) -> None:
        for name, value, lowest, highest in self._bounds():
            if not isfinite(value) or not lowest <= value <= highest:
                raise WorkloadError(f"{name} must be from {lowest:,g} to {highest:,g}, was {value:,g}")

    def _bounds(self) -> Iterator[tuple[str, float, float, float]]:
        limits = Limits()
        yield "jobs per day", self.per_day, 1, MAX_PER_DAY
        yield "bytes per picture", self.picture_bytes, 1, limits.max_input_bytes
        yield "megapixels per picture", self.megapixels, 0.0001, limits.max_pixels / MEGAPIXEL
        yield "seconds kept", self.kept_s, 1, MAX_KEPT_S
        yield "pixels of the result's width", self.width_px, 1, 8192
        yield "keys", self.keys, 1, MAX_KEYS
        yield "peak", self.peak, 1, MAX_PEAK
        yield "reads per job", self.reads, 0, MAX_READS
        yield "seconds of backlog", self.backlog_s, 0, MAX_KEPT_S

    @property
    def per_s(self) -> float:
        return self.per_day / DAY_S

    @property
    def peak_per_s(self) -> float:
        return self.per_s * self.peak

    @property
    def size_px(self) -> tuple[int, int]:
        """Return width and height of an original."""
        height = max(1, round(sqrt(self.megapixels * MEGAPIXEL / _ASPECT)))
        return max(1, round(height * _ASPECT)), height

    @property
    def megapixels_written(self) -> float:
        """A picture that is smaller than the result's width keeps its size."""
        width, height = self.size_px
        written = min(self.width_px, width)
        return written * max(1, round(written * height / width)) / MEGAPIXEL

    @property
    def megabytes_read(self) -> float:
        return self.picture_bytes / 1e6

    @property
    def originals_kept_s(self) -> float:
        return self.kept_s + DAY_S

    @property
    def cost_class(self) -> CostClass:
        """Return the class that ingest would give to such a job."""
        width, height = self.size_px
        facts = Facts(
            format=self.read_format,
            width=width,
            height=height,
            bands=3,
            has_alpha=False,
            frames=1,
            progressive=False,
            has_icc=False,
            orientation=1,
            bits=8,
            input_bytes=self.picture_bytes,
        )
        return cost_class(facts, ResizeParameters(width=self.width_px, format=self.written_format))

    @property
    def function(self) -> str:
        """Return the Service that renders such jobs."""
        return self.job_type if self.cost_class is CostClass.STANDARD else f"{self.job_type}-heavy"
