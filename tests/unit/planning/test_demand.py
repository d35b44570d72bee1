from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from darkroom.contract.parameters.values import Format
from darkroom.imaging.cost import CostClass
from darkroom.planning.costs import Costs
from darkroom.planning.demand import compute_demand
from darkroom.planning.workload import DAY_S, Workload, WorkloadError

A_SECOND = Workload(per_day=DAY_S, picture_bytes=600_000, megapixels=3, kept_s=7 * DAY_S, width_px=1000, reads=0)
"""One job a second; its results have 0.75 megapixels."""


def test_a_jobs_cpu_time_is_what_its_pixels_and_bytes_cost(costs: Costs) -> None:
    demand = compute_demand(A_SECOND, costs)
    moved_megabytes = 0.6 + demand.result_bytes / 1e6
    assert demand.result_bytes == pytest.approx(1000 + 0.75 * 100_000)
    assert demand.cpu_ms["resize"] == pytest.approx(10 + 3 * 5 + 0.75 * 30)
    assert demand.cpu_ms["s3"] == pytest.approx(6 + 10 * moved_megabytes)
    assert demand.cores("resize") == pytest.approx(0.0475)
    assert demand.cores_at_peak("resize") == pytest.approx(3 * 0.0475)


def test_what_an_installation_takes_anyway_does_not_grow_with_the_load(costs: Costs) -> None:
    idle, busy = (compute_demand(replace(A_SECOND, per_day=each), costs) for each in (1, 10**9))
    assert idle.cores("recovery") == busy.cores_at_peak("recovery") == pytest.approx(0.01)


def test_bytes_and_requests_are_per_day_and_at_rest(costs: Costs) -> None:
    demand = compute_demand(A_SECOND, costs)
    assert demand.finished_records == 7 * DAY_S
    assert demand.records_bytes == pytest.approx(7 * DAY_S * 600 + 3 * 3600 * 3000)
    assert demand.redis_maxmemory_bytes == pytest.approx(demand.records_bytes / 0.85)
    assert demand.originals_bytes == pytest.approx(8 * DAY_S * 600_000)
    assert demand.results_bytes == pytest.approx(7 * DAY_S * demand.result_bytes)
    assert demand.s3_requests_per_day("PUT") == 2 * DAY_S
    assert demand.jetstream_writes_per_day == 2 * DAY_S
    assert demand.jetstream_bytes_per_day == 4000 * DAY_S


def test_a_read_costs_a_download_and_the_time_of_status(costs: Costs) -> None:
    demand = compute_demand(replace(A_SECOND, reads=2), costs)
    assert demand.s3_requests["GET"] == 1 + 2
    assert demand.cpu_ms["status"] == pytest.approx(2)
    assert demand.downloaded_bytes_per_day == pytest.approx(2 * DAY_S * demand.result_bytes)


def test_a_large_original_is_streamed_in_more_requests(costs: Costs) -> None:
    assert compute_demand(replace(A_SECOND, picture_bytes=4_999_999), costs).s3_requests == {"GET": 1, "PUT": 2}
    assert compute_demand(replace(A_SECOND, picture_bytes=5_000_000), costs).s3_requests["POST"] == 2


def test_a_picture_narrower_than_the_result_is_not_enlarged() -> None:
    small = replace(A_SECOND, megapixels=0.3, width_px=4000)
    assert small.megapixels_written == pytest.approx(0.3, rel=0.01)


@pytest.mark.parametrize(
    ("field", "more"),
    [
        ("per_day", 2 * DAY_S),
        ("picture_bytes", 1_200_000),
        ("megapixels", 12.0),
        ("width_px", 1400),
        ("reads", 3.0),
    ],
)
def test_more_of_anything_never_costs_less_cpu_time(costs: Costs, field: str, more: float) -> None:
    change: dict[str, Any] = {field: more}
    assert compute_demand(replace(A_SECOND, **change), costs).mean_cores > compute_demand(A_SECOND, costs).mean_cores


@pytest.mark.parametrize(("field", "more"), [("kept_s", 14.0 * DAY_S), ("backlog_s", 7200.0), ("peak", 5.0)])
def test_keeping_longer_or_a_higher_peak_takes_more_memory(costs: Costs, field: str, more: float) -> None:
    change: dict[str, Any] = {field: more}
    longer = compute_demand(replace(A_SECOND, **change), costs)
    assert longer.records_bytes > compute_demand(A_SECOND, costs).records_bytes


def test_what_was_not_measured_is_refused_with_what_was(costs: Costs) -> None:
    with pytest.raises(WorkloadError, match=r"gif written was not measured; measured: jpeg, avif"):
        compute_demand(replace(A_SECOND, written_format=Format.GIF), costs)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("per_day", 0, r"jobs per day must be from 1 to .*, was 0"),
        ("megapixels", 51.0, r"megapixels per picture must be from 0.0001 to 50, was 51"),
        ("picture_bytes", 2**26, r"bytes per picture must be from 1 to .*, was "),
        ("peak", 0.5, r"peak must be from 1 to 100, was 0.5"),
        ("keys", 0, r"keys must be from 1 to"),
        ("reads", float("nan"), r"reads per job must be from 0 to 1,000, was nan"),
    ],
)
def test_values_out_of_range_are_refused_with_the_limits(field: str, value: float, message: str) -> None:
    change: dict[str, Any] = {field: value}
    with pytest.raises(WorkloadError, match=message):
        replace(A_SECOND, **change)


def test_the_cost_class_is_the_one_that_ingest_gives() -> None:
    assert (A_SECOND.cost_class, A_SECOND.function) == (CostClass.STANDARD, "resize")
    heavy = replace(A_SECOND, written_format=Format.AVIF)
    assert (heavy.cost_class, heavy.function) == (CostClass.HEAVY, "resize-heavy")
