"""What Prometheus reads of the running stack at `/metrics`: the whole catalog, and counts that equal the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO

import httpx
import pytest
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from darkroom.telemetry.metric import Metric, MetricKind, Source
from tests.pausing import paused
from tests.stack import RunningStack, eventually
from tools import catalog as metrics
from tools.catalog import CATALOG

Labels = Mapping[str, str]


def corrupt_within(photograph: bytes) -> bytes:
    """As a PNG whose header is sound, so that only the function that decodes it finds out."""
    png = BytesIO()
    Image.open(BytesIO(photograph)).save(png, "PNG")
    body = png.getvalue()
    middle = len(body) // 2
    return body[:middle] + bytes(200) + body[middle + 200 :]


class Scrape:
    def __init__(self, stack: RunningStack) -> None:
        answer = httpx.get(f"{stack.addresses['admin']}/metrics", timeout=20)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        self.samples: list[Sample] = [
            sample for family in text_string_to_metric_families(answer.text) for sample in family.samples
        ]

    def of(self, metric: Metric, **labels: str) -> list[Sample]:
        """A histogram's counts."""
        name = metric.prometheus_name + ("_count" if metric.kind is MetricKind.HISTOGRAM else "")
        return [
            sample for sample in self.samples if sample.name == name and labels.items() <= {**sample.labels}.items()
        ]

    def total(self, metric: Metric, **labels: str) -> float:
        return sum(sample.value for sample in self.of(metric, **labels))


class Ledger:
    """What was sent, and what it came to."""

    def __init__(self, stack: RunningStack, photograph: bytes) -> None:
        resized = stack.submit_many(4, "resize", photograph, width=100)
        cropped = [stack.submit("crop", photograph, width=50, height=50, format="png") for _ in range(2)]
        corrupt = stack.submit("resize", corrupt_within(photograph), width=100)
        self.completed = [stack.completed(job_id) for job_id in (*resized, *cropped)]
        self.failed = stack.ended(corrupt)
        assert self.failed["status"] == "failed"


@pytest.fixture(scope="module")
def ledger(stack: RunningStack, photograph: bytes) -> Ledger:
    return Ledger(stack, photograph)


@pytest.fixture(scope="module")
def scrape(stack: RunningStack, ledger: Ledger) -> Scrape:
    def all_counted() -> Scrape | None:
        scrape = Scrape(stack)
        return scrape if scrape.total(metrics.DELIVERIES, outcome="delivered") >= len(ledger.completed) + 1 else None

    return eventually(all_counted, within_s=20, what="every delivery is counted")


@pytest.mark.parametrize("metric", CATALOG, ids=lambda metric: metric.name)
def test_every_metric_of_the_catalog_has_samples_with_its_labels(scrape: Scrape, metric: Metric) -> None:
    samples = scrape.of(metric)
    assert samples
    assert {tuple(sorted(sample.labels)) for sample in samples} == {tuple(sorted(metric.labels))}


def test_the_catalog_is_all_there_is(scrape: Scrape) -> None:
    suffixes = {MetricKind.HISTOGRAM: ("_bucket", "_count", "_sum")}
    known = {metric.prometheus_name + suffix for metric in CATALOG for suffix in suffixes.get(metric.kind, ("",))}
    assert {sample.name for sample in scrape.samples} == known


def test_the_counts_equal_the_ledger(scrape: Scrape, ledger: Ledger) -> None:
    completed = len(ledger.completed)
    assert scrape.total(metrics.JOBS_ACCEPTED, type="resize", cost_class="standard") == 5
    assert scrape.total(metrics.JOBS_ACCEPTED) == completed + 1
    assert scrape.total(metrics.JOBS_ENDED, type="crop", status="completed") == 2
    assert scrape.total(metrics.JOBS_ENDED, status="completed", error_type="") == completed
    assert scrape.total(metrics.JOBS_ENDED, status="failed", error_type=ledger.failed["error"]["code"]) == 1
    assert scrape.total(metrics.JOB_DURATION) == scrape.total(metrics.JOBS_ENDED) == completed + 1
    assert scrape.total(metrics.JOBS_UNFINISHED) == 0
    assert scrape.total(metrics.OBJECTIVE_JOBS) == completed + 1
    assert scrape.total(metrics.JOB_STAGE_DURATION, stage="render") == completed
    assert scrape.total(metrics.RENDER_DURATION, format="png") == 2
    assert scrape.total(metrics.RESULT_SIZE) == sum(job["result"]["bytes"] for job in ledger.completed)
    posts = scrape.total(metrics.HTTP_SERVER_REQUEST_DURATION, http_request_method="POST")
    assert posts == completed + 1


def test_each_function_that_was_at_zero_was_started_cold(scrape: Scrape) -> None:
    for service in ("resize", "crop"):
        assert scrape.total(metrics.COLD_STARTS, service=service) >= 1
        assert scrape.total(metrics.COLD_START_DURATION, service=service) >= 1
        assert scrape.total(metrics.PROCESS_CPU_TIME, process=service) > 0


def test_routes_are_templates_and_what_strangers_make_up_is_no_label(stack: RunningStack, ledger: Ledger) -> None:
    httpx.request("PROPFIND", f"{stack.addresses['api']}/nonsense/{'x' * 100}")
    samples = Scrape(stack).of(metrics.HTTP_SERVER_REQUEST_DURATION)
    routes = {(sample.labels["http_request_method"], sample.labels["http_route"]) for sample in samples}
    assert {("POST", "/api/v1/resize"), ("GET", "/api/v1/jobs/{job_id}"), ("_OTHER", "")} <= routes
    assert not [route for _, route in routes if "nonsense" in route or ledger.failed["job_id"] in route]


@pytest.mark.parametrize(("server", "source"), [("redis", Source.RECORD), ("nats", Source.BROKER)])
def test_a_server_that_is_down_takes_only_its_own_metrics_with_it(
    stack: RunningStack, ledger: Ledger, server: str, source: Source
) -> None:
    with paused(stack.server_pid(server)):
        scrape = Scrape(stack)

    assert scrape.total(metrics.SERVER_UP, server=server) == 0
    assert scrape.total(metrics.SERVER_UP) == 2
    of_others = [metric for metric in (metrics.JOBS_ACCEPTED, metrics.STREAM_SIZE) if metric.source is not source]
    assert [bool(scrape.of(metric)) for metric in of_others] == [True]
    assert not [metric.name for metric in CATALOG if metric.source is source and scrape.of(metric)]
    assert scrape.of(metrics.INSTANCES)
    # It answers again before the next test.
    eventually(lambda: Scrape(stack).total(metrics.SERVER_UP) == 3, within_s=20, what=f"{server} is up")
