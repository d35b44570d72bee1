from __future__ import annotations

import pytest

from darkroom.contract.route_templates import route_template
from darkroom.telemetry.metric import Distribution
from darkroom.telemetry.names import method_label
from darkroom.telemetry.platform_metrics import COLD_START_DURATION, COLD_STARTS
from darkroom.telemetry.tally import Tally


def test_a_series_that_was_begun_is_read_as_zero() -> None:
    tally = Tally(COLD_STARTS)
    assert tally.readings() == {COLD_STARTS: {}}

    tally.begin(COLD_STARTS, "resize")

    assert tally.readings() == {COLD_STARTS: {("resize",): 0}}


def test_counts_add_up_by_labels() -> None:
    tally = Tally()
    tally.count(COLD_STARTS, "resize")
    tally.count(COLD_STARTS, "resize", by=2)
    tally.count(COLD_STARTS, "crop")

    assert tally.readings() == {COLD_STARTS: {("resize",): 3, ("crop",): 1}}


def test_a_value_falls_into_the_first_bucket_whose_bound_it_does_not_pass() -> None:
    tally = Tally()
    bounds = COLD_START_DURATION.buckets
    for value in (bounds[0], bounds[0] + 0.001, bounds[-1] + 1):
        tally.observe(COLD_START_DURATION, "resize", value=value)

    read = tally.readings()[COLD_START_DURATION]["resize",]

    assert isinstance(read, Distribution)
    assert read.counts == (1, 1, *[0] * (len(bounds) - 2), 1)
    assert read.sum == pytest.approx(2 * bounds[0] + 0.001 + bounds[-1] + 1)


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/api/v1/jobs", "/api/v1/jobs"),
        ("/api/v1/jobs/3fa85f64-5717-4562-b3fc-2c963f66afa6", "/api/v1/jobs/{job_id}"),
        ("/api/v1/jobs/x/events", "/api/v1/jobs/{job_id}/events"),
        ("/", "/"),
        ("/api/v1/jobs/x/nonsense", ""),
        ("/openapiXjson", ""),
        ("/api/v1/jobs\n", ""),
    ],
)
def test_a_path_is_known_by_its_template(path: str, template: str) -> None:
    assert route_template(path) == template


def test_methods_that_nobody_knows_are_one() -> None:
    assert [method_label(name) for name in ("GET", "get", "BREW")] == ["GET", "_OTHER", "_OTHER"]
