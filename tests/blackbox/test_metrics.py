"""That the suite reads instances rightly where it is pointed at a cluster: its autoscaler's page, or a Prometheus."""

from __future__ import annotations

import json

import pytest

from tests.blackbox.metrics import Metrics
from tests.scripted_http import Reply, scripted_server

KNATIVE_PAGE = b"""\
# TYPE kn_revision_pods_count gauge
kn_revision_pods_count{k8s_namespace_name="darkroom",kn_revision_name="resize-00001",kn_service_name="resize"} 0
kn_revision_pods_count{k8s_namespace_name="darkroom",kn_revision_name="resize-00002",kn_service_name="resize"} 3
kn_revision_pods_count{k8s_namespace_name="darkroom",kn_revision_name="crop-00001",kn_service_name="crop"} 0
http_server_request_duration_seconds_count{http_route="/api/v1/jobs/{job_id}"} 7
"""


def prometheus_says(value: str | None) -> Reply:
    result = [] if value is None else [{"metric": {}, "value": [1767225600, value]}]
    return Reply(status=200, body=json.dumps({"status": "success", "data": {"result": result}}).encode())


def test_the_pods_of_all_revisions_are_counted_on_knatives_page() -> None:
    with scripted_server(Reply(status=200, body=KNATIVE_PAGE)) as server:
        metrics = Metrics(url=f"{server.url}/metrics")
        assert (metrics.instances("resize"), metrics.instances("crop")) == (3, 0)


def test_prometheus_is_asked_for_both_names() -> None:
    with scripted_server(prometheus_says("2")) as server:
        assert Metrics(url=server.url).instances("resize") == 2
        assert "darkroom_instances" in server.received[0].path
        assert "kn_revision_pods_count" in server.received[0].path


def test_nothing_counted_is_not_zero() -> None:
    with scripted_server(Reply(status=200, body=KNATIVE_PAGE), prometheus_says(None)) as server:
        with pytest.raises(AssertionError, match="neither the runtime nor Knative"):
            Metrics(url=f"{server.url}/metrics").instances("status")
        with pytest.raises(AssertionError, match="neither the runtime nor Knative"):
            Metrics(url=server.url).instances("status")
