from __future__ import annotations

import re

import pytest

from darkroom.contract import metrics as application
from darkroom.telemetry import platform_metrics
from darkroom.telemetry.metric import Distribution, Metric, MetricKind
from tools import catalog as metrics
from tools.catalog import CATALOG


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        (metrics.JOBS_ACCEPTED, "darkroom_jobs_accepted_total"),
        (metrics.JOB_STAGE_DURATION, "darkroom_job_stage_duration_seconds"),
        (metrics.RESULT_SIZE, "darkroom_result_size_bytes_total"),
        (metrics.JOBS_OLDEST_UNFINISHED_AGE, "darkroom_jobs_oldest_unfinished_age_seconds"),
        (metrics.STREAM_LIMIT, "darkroom_stream_limit_bytes"),
        (metrics.SERVER_UP, "darkroom_server_up"),
        (metrics.PROCESS_CPU_TIME, "process_cpu_time_seconds_total"),
        (metrics.HTTP_SERVER_REQUEST_DURATION, "http_server_request_duration_seconds"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_prometheus_name_follows_from_unit_and_kind(metric: Metric, name: str) -> None:
    assert metric.prometheus_name == name


def test_labels_are_attributes_with_underscores() -> None:
    assert metrics.JOBS_ENDED.labels == ("type", "cost_class", "status", "error_type")


def test_the_catalog_has_every_declared_metric_once() -> None:
    declared = [
        value
        for module in (application, platform_metrics)
        for value in vars(module).values()
        if isinstance(value, Metric)
    ]

    assert sorted(metric.name for metric in declared) == sorted(metric.name for metric in CATALOG)
    assert len({metric.prometheus_name for metric in CATALOG}) == len(CATALOG)


@pytest.mark.parametrize("metric", CATALOG, ids=lambda metric: metric.name)
def test_every_metric_is_whole(metric: Metric) -> None:
    assert re.fullmatch(r"[a-z]+([._][a-z]+)+", metric.name)
    assert metric.description.endswith(".")
    assert (metric.kind is MetricKind.HISTOGRAM) == bool(metric.buckets)
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert metric.unit != "1", "Prometheus would add _ratio to a gauge's name"


def test_the_objective_is_a_bucket_of_the_duration() -> None:
    assert metrics.OBJECTIVE_WITHIN_S in metrics.JOB_DURATION.buckets


def test_a_distribution_counts_all_its_buckets() -> None:
    assert Distribution(counts=(1, 0, 2), sum=3.5).count == 3
