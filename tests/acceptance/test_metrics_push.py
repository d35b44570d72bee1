"""What a collector is told by a running stack: the record's counts by recovery, request times by the front door."""

from __future__ import annotations

from pathlib import Path

import pytest

from darkroom.telemetry.metric import Metric, Source
from tests.collector import Collector, SeenPoint, running_collector
from tests.stack import eventually, running_stack
from tools import catalog as metrics
from tools.catalog import CATALOG

JOBS = 5
WOKEN_WITHIN_S = 60.0
"""recovery is woken every 15 s."""


def latest(collector: Collector, metric: Metric, **attributes: str) -> SeenPoint | None:
    found = [
        point
        for point in collector.metrics()
        if point.metric == metric.name and attributes.items() <= {**point.attributes}.items()
    ]
    return found[-1] if found else None


@pytest.mark.slow
def test_a_collector_is_told_of_every_job(tmp_path: Path, photograph: bytes) -> None:
    with running_collector() as collector:
        environment = {**collector.environment, "OTEL_TRACES_EXPORTER": "none", "OTEL_METRIC_EXPORT_INTERVAL": "500"}
        with running_stack(tmp_path, environment=environment) as stack:
            for job_id in stack.submit_many(JOBS, "resize", photograph, width=100):
                stack.completed(job_id)

            def all_completed() -> SeenPoint | None:
                point = latest(collector, metrics.JOBS_ENDED, type="resize", status="completed", cost_class="standard")
                return point if point is not None and point.value == JOBS else None

            told = eventually(all_completed, within_s=WOKEN_WITHIN_S, what="recovery has told of every job")
            post = {"http.request.method": "POST", "http.route": "/api/v1/resize"}
            taken = eventually(
                lambda: latest(collector, metrics.HTTP_SERVER_REQUEST_DURATION, **post), within_s=10, what="ingest told"
            )
            assert stack.stop() == 0

    assert told.resource["service.name"] == "recovery"
    assert taken.resource["service.name"] == "ingest"
    names = {point.metric for point in collector.metrics()}
    expected = {metric.name for metric in CATALOG if metric.source in {Source.RECORD, Source.BROKER, Source.FRONT}}
    # The dead letters' stream has no limit of its own, and of the server's recovery knows nothing.
    assert expected - names <= {metrics.STREAM_LIMIT.name}
