"""What a workload costs per second, per day and at rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from darkroom.planning.costs import Costs
from darkroom.planning.policy import STORE_USE
from darkroom.planning.workload import DAY_S, Workload, WorkloadError

WRITES = frozenset({"PUT", "POST", "DELETE"})


@dataclass(frozen=True, kw_only=True)
class Demand:
    workload: Workload
    cpu_ms: Mapping[str, float]
    """CPU time of one job, with its reads, by process."""
    standing_cores: Mapping[str, float]
    """What an installation takes while there is nothing to do, by process."""
    result_bytes: float
    """Of one result; likewise `unfinished_bytes` and `finished_bytes` of one record in the job store."""
    unfinished_bytes: float
    finished_bytes: float
    jetstream_writes: float
    """Of one job; likewise `jetstream_bytes`."""
    jetstream_bytes: float
    s3_requests: Mapping[str, float]
    """Of one job with its reads, by method."""
    waiting_ms: float
    pod_bytes: Mapping[str, float]

    # --- CPU ----------------------------------------------------------------------------------------------------------

    @property
    def cpu_ms_per_job(self) -> float:
        return sum(self.cpu_ms.values())

    def cores(self, process: str) -> float:
        return self._cores(process, self.workload.per_s)

    def cores_at_peak(self, process: str) -> float:
        return self._cores(process, self.workload.peak_per_s)

    def load_cores_at_peak(self, process: str) -> float:
        """Return the part of it that grows with the load."""
        return self.workload.peak_per_s * self.cpu_ms[process] / 1000

    def _cores(self, process: str, per_s: float) -> float:
        return per_s * self.cpu_ms[process] / 1000 + self.standing_cores.get(process, 0.0)

    @property
    def mean_cores(self) -> float:
        return sum(map(self.cores, self.cpu_ms))

    @property
    def peak_cores(self) -> float:
        return sum(map(self.cores_at_peak, self.cpu_ms))

    @property
    def busy_workers_at_peak(self) -> float:
        """Return the mean number of jobs in work (Little's law): the rate times what a job occupies a worker."""
        return self.workload.peak_per_s * (self.cpu_ms[self.workload.function] + self.waiting_ms) / 1000

    # --- the job store ------------------------------------------------------------------------------------------------

    @property
    def finished_records(self) -> float:
        return self.workload.per_s * self.workload.kept_s

    @property
    def unfinished_records(self) -> float:
        return self.workload.peak_per_s * self.workload.backlog_s

    @property
    def records_bytes(self) -> float:
        return self.finished_records * self.finished_bytes + self.unfinished_records * self.unfinished_bytes

    @property
    def redis_maxmemory_bytes(self) -> float:
        return self.records_bytes / STORE_USE

    # --- JetStream ----------------------------------------------------------------------------------------------------

    @property
    def jetstream_writes_per_day(self) -> float:
        return self.workload.per_day * self.jetstream_writes

    @property
    def jetstream_bytes_per_day(self) -> float:
        return self.workload.per_day * self.jetstream_bytes

    # --- storage ------------------------------------------------------------------------------------------------------

    def s3_requests_per_day(self, method: str) -> float:
        return self.workload.per_day * self.s3_requests[method]

    @property
    def s3_writes_per_s_at_peak(self) -> float:
        return self.workload.peak_per_s * sum(count for name, count in self.s3_requests.items() if name in WRITES)

    @property
    def s3_reads_per_s_at_peak(self) -> float:
        return self.workload.peak_per_s * sum(count for name, count in self.s3_requests.items() if name not in WRITES)

    @property
    def s3_bytes_in_per_day(self) -> float:
        """Originals and results."""
        return self.workload.per_day * (self.workload.picture_bytes + self.result_bytes)

    @property
    def s3_bytes_out_per_day(self) -> float:
        """Originals to the workers, results to the clients."""
        return self.workload.per_day * self.workload.picture_bytes + self.downloaded_bytes_per_day

    @property
    def originals_bytes(self) -> float:
        return self.workload.per_s * self.workload.originals_kept_s * self.workload.picture_bytes

    @property
    def results_bytes(self) -> float:
        return self.workload.per_s * self.workload.kept_s * self.result_bytes

    @property
    def stored_bytes(self) -> float:
        return self.originals_bytes + self.results_bytes

    # --- network ------------------------------------------------------------------------------------------------------

    @property
    def uploaded_bytes_per_day(self) -> float:
        return self.workload.per_day * float(self.workload.picture_bytes)

    @property
    def downloaded_bytes_per_day(self) -> float:
        return self.workload.per_day * self.workload.reads * self.result_bytes

    @property
    def peak_bits_per_s(self) -> float:
        """Return what passes through storage's network at the peak, both directions added up."""
        return (self.s3_bytes_in_per_day + self.s3_bytes_out_per_day) / DAY_S * self.workload.peak * 8


def compute_demand(workload: Workload, costs: Costs) -> Demand:
    """Compute what the workload costs. Raises WorkloadError for what was not measured."""
    _require_measured(workload, costs)
    result_bytes = _result_bytes(workload, costs)
    return Demand(
        workload=workload,
        cpu_ms=_cpu_ms(workload, costs, result_bytes),
        standing_cores=costs.standing_cores,
        result_bytes=result_bytes,
        unfinished_bytes=costs.redis_bytes.unfinished,
        finished_bytes=costs.redis_bytes.finished,
        jetstream_writes=costs.jetstream.writes,
        jetstream_bytes=costs.jetstream.bytes,
        s3_requests=_s3_requests(workload, costs),
        waiting_ms=costs.waiting_ms,
        pod_bytes=_pod_bytes(workload, costs),
    )


def _require_measured(workload: Workload, costs: Costs) -> None:
    for what, format, measured in (
        ("read", workload.read_format, costs.formats_read),
        ("written", workload.written_format, costs.formats_written),
    ):
        if format not in measured:
            raise WorkloadError(f"the cost of {format} {what} was not measured; measured: {', '.join(measured)}")


def _cpu_ms(workload: Workload, costs: Costs, result_bytes: float) -> dict[str, float]:
    render, moved_megabytes = costs.render_cpu_ms, workload.megabytes_read + result_bytes / 1e6
    cpu_ms = {
        workload.function: render.constant
        + render.per_megapixel_read[workload.read_format] * workload.megapixels
        + render.per_megapixel_written[workload.written_format] * workload.megapixels_written
    }
    for process, cost in costs.cpu_ms.items():
        cpu_ms[process] = cost.constant + cost.per_megabyte * moved_megabytes
    for process, read_ms in costs.read_cpu_ms.items():
        cpu_ms[process] = cpu_ms.get(process, 0.0) + read_ms * workload.reads
    return cpu_ms


def _result_bytes(workload: Workload, costs: Costs) -> float:
    cost = costs.result_bytes[workload.written_format]
    return cost.constant + cost.per_megapixel * workload.megapixels_written


def _s3_requests(workload: Workload, costs: Costs) -> dict[str, float]:
    requests = dict(costs.s3_requests.of(workload.picture_bytes))
    # A client downloads the result from storage, by its signed URL.
    requests["GET"] = requests.get("GET", 0.0) + workload.reads
    return requests


def _pod_bytes(workload: Workload, costs: Costs) -> dict[str, float]:
    pods = costs.pod_bytes
    return {
        **pods.fixed,
        workload.function: pods.render_constant
        + pods.render_per_megapixel_read * workload.megapixels
        + pods.render_per_megapixel_written * workload.megapixels_written,
    }
