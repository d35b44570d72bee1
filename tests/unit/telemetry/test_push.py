"""Metrics by OTLP, on and off: what a real receiver gets, and that a missing collector delays nobody."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from darkroom.errors import SettingsError
from darkroom.serving.testing import MemoryPipeline
from darkroom.telemetry import push as metrics
from darkroom.telemetry.metric import MetricKind, Readings, Source
from darkroom.telemetry.switch import metrics_are_wanted
from functions.recovery.metrics import PipelineMetrics
from tests.collector import Collector, running_collector
from tests.contract.job_stores import a_result
from tests.interpreter import python
from tests.stack import ROOT
from tools import catalog

SOMEWHERE = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


@pytest.fixture
def collector() -> Iterator[Collector]:
    with running_collector() as collector:
        yield collector


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        (SOMEWHERE, True),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://collector:4318/v1/metrics"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, False),
        ({**SOMEWHERE, "OTEL_SDK_DISABLED": "true"}, False),
        ({**SOMEWHERE, "OTEL_METRICS_EXPORTER": "none"}, False),
        ({**SOMEWHERE, "OTEL_TRACES_EXPORTER": "none"}, True),
    ],
)
def test_metrics_are_on_where_an_endpoint_is_set_and_nothing_says_otherwise(
    environment: dict[str, str], wanted: bool
) -> None:
    assert metrics_are_wanted(environment) is wanted


def test_what_we_do_not_have_is_refused_at_start_by_its_name() -> None:
    with pytest.raises(SettingsError, match="OTEL_METRICS_EXPORTER"):
        metrics_are_wanted({**SOMEWHERE, "OTEL_METRICS_EXPORTER": "prometheus"})


def test_off_nothing_is_read() -> None:
    def read() -> Readings:
        raise AssertionError("it was read")

    assert not metrics.is_on()
    metrics.push(read)
    metrics.observe_request(method="GET", route="/", status=200, lasted_s=0.1)


THREE_REQUESTS = """
from darkroom.telemetry import push as metrics
metrics.begin("ingest", report=print)
for status, lasted_s in ((202, 0.03), (202, 20.0), (404, 0.001)):
    route = "/api/v1/resize" if status == 202 else ""
    metrics.observe_request(method="POST", route=route, status=status, lasted_s=lasted_s)
"""


def test_a_process_that_ends_pushes_its_requests_before(collector: Collector) -> None:
    done = python(THREE_REQUESTS, **collector.environment, K_REVISION="ingest-00001")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    taken, unknown = sorted(collector.metrics(), key=lambda point: -point.value)
    assert (taken.metric, taken.unit, taken.kind) == ("http.server.request.duration", "s", "histogram")
    assert taken.attributes == {
        "http.request.method": "POST",
        "http.route": "/api/v1/resize",
        "http.response.status_code": "202",
    }
    assert taken.value == 2
    assert taken.sum == pytest.approx(20.03)
    assert taken.bounds == catalog.HTTP_SERVER_REQUEST_DURATION.buckets
    assert (taken.bucket_counts[taken.bounds.index(0.05)], taken.bucket_counts[-1]) == (1, 1)
    assert taken.is_cumulative
    assert "http.route" not in unknown.attributes
    assert taken.resource["service.name"] == "ingest"
    assert taken.resource["faas.version"] == "ingest-00001"
    assert taken.resource["service.instance.id"]


def test_requests_are_pushed_now_and_then_by_each_worker_for_itself(collector: Collector) -> None:
    program = """
import os, time
from darkroom.telemetry import push as metrics
metrics.begin("status", report=print)
children = []
for _ in range(2):
    if (child := os.fork()) == 0:
        metrics.observe_request(method="GET", route="/", status=200, lasted_s=0.1)
        time.sleep(60)
    children.append(child)
input()
for child in children:
    os.kill(child, 9)
    os.waitpid(child, 0)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **collector.environment, "OTEL_METRIC_EXPORT_INTERVAL": "50"}
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, env=environment, stdin=subprocess.PIPE) as master:
        try:
            seen = eventually_instances(collector, 2)
        finally:
            master.communicate(b"\n", timeout=20)

    assert len(seen) == 2
    assert all(point.value == 1 for point in collector.metrics()), "cumulative, and nobody counts another's"


def eventually_instances(collector: Collector, count: int) -> set[str]:
    ends_at = time.monotonic() + 20
    while True:
        seen = {str(point.resource["service.instance.id"]) for point in collector.metrics()}
        if len(seen) >= count or time.monotonic() > ends_at:
            return seen
        time.sleep(0.02)


@pytest.mark.parametrize("answers", [True, False])
def test_a_process_does_not_wait_for_a_collector_that_does_not_answer(answers: bool) -> None:
    """The exporter's own patience is set so high that the run would be cut off if anybody had it."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if answers:
            silent.listen(16)
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_TIMEOUT": "600"}
        done = python(THREE_REQUESTS, **environment)
        if answers:
            # It did try.
            silent.settimeout(5)
            silent.accept()[0].close()

    assert done.returncode == 0, done.stderr
    reports = len(done.stdout.splitlines())
    assert reports == 1 or (answers and reports == 0), "reported once, however often it fails"
    assert done.stderr == ""


FIGURES = """
from tools import catalog
from darkroom.telemetry import push as metrics
from tests.unit.telemetry.test_push import figures
metrics.begin("recovery", report=print)
for _ in range(3):
    metrics.push(figures().read)
"""


def figures(*, letters_are_down: bool = False) -> PipelineMetrics:
    """The values after one completed job."""
    pipeline = MemoryPipeline("recovery")
    pipeline.dead_letters.is_down = letters_are_down
    lease = pipeline.claim(pipeline.accept())
    pipeline.jobs.complete(lease, a_result(lease), {"render": 61})
    return PipelineMetrics(pipeline.resources)


def test_what_recovery_reads_is_pushed_as_the_catalog_has_it(collector: Collector) -> None:
    done = python(FIGURES, **collector.environment)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    latest = collector.latest()
    assert latest["darkroom.jobs.accepted", "standard", "resize"] == 1
    assert latest["darkroom.jobs.ended", "standard", "completed", "resize"] == 1
    assert latest["darkroom.job.duration", "standard", "completed", "resize"] == 1
    assert latest["darkroom.result.size", "jpeg"] == 27272
    assert latest["darkroom.jobs.unfinished", "queued"] == 0
    assert latest["darkroom.dead_letters",] == 0
    reported = {point.metric: point for point in collector.metrics()}
    for metric in catalog.CATALOG:
        if metric.source is Source.RECORD:
            assert reported[metric.name].unit == metric.unit
            kinds = {MetricKind.COUNTER: "sum", MetricKind.GAUGE: "gauge", MetricKind.HISTOGRAM: "histogram"}
            assert reported[metric.name].kind == kinds[metric.kind]
    assert not [point for point in reported.values() if "service.instance.id" in point.resource], (
        "one series, whoever tells"
    )


def test_what_cannot_be_read_is_left_out() -> None:
    read = figures(letters_are_down=True).read()

    assert catalog.JOBS_ACCEPTED in read
    assert catalog.DEAD_LETTERS not in read
