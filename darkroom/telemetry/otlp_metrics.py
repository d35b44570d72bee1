"""Converts readings to OTLP and sends them with OpenTelemetry's exporter. Imported only when metrics are on.

The SDK's instruments are not used: most values were counted in Redis, some in histograms, for which no observable
instrument exists. The readings are converted to the SDK's data points instead.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable, Iterator

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Metric as SdkMetric
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

import darkroom
from darkroom.telemetry.metric import Distribution, Metric, MetricKind, Readings, Values
from darkroom.telemetry.names import method_label
from darkroom.telemetry.platform_metrics import HTTP_SERVER_REQUEST_DURATION
from darkroom.telemetry.resource import resource_of
from darkroom.telemetry.sdk_warnings import report_sdk_warnings
from darkroom.telemetry.tally import Labels, Tally

INTERVAL = "OTEL_METRIC_EXPORT_INTERVAL"
PUSH_EVERY_S = 15.0
"""The default; OTEL_METRIC_EXPORT_INTERVAL, in milliseconds, overrides it. The specification's default of one minute is
long for a process that scales to zero."""
CLOSE_WITHIN_S = 1.8

_UNKNOWN_START_NS = 0
"""OTLP's value for an unknown start (metrics.proto): counting in Redis began before the process that reports it."""
_SCOPE = InstrumentationScope("darkroom", darkroom.__version__)
_CUMULATIVE = AggregationTemporality.CUMULATIVE


class OtlpMetrics:
    """The metrics that a process pushes. There is one instance per process."""

    def __init__(self, service: str, report: Callable[[str], None]) -> None:
        report_sdk_warnings(report)
        self._service = service
        self._exporter = OTLPMetricExporter()
        self._lock = threading.Lock()
        self._requests = Tally(HTTP_SERVER_REQUEST_DURATION)
        self._request_pusher: PushThread | None = None
        self._read: Callable[[], Readings] = dict
        self._service_pusher: PushThread | None = None

    def observe_request(self, *, method: str, route: str, status: int, lasted_s: float) -> None:
        labels = (method_label(method), route, str(status))
        with self._lock:
            self._requests.observe(HTTP_SERVER_REQUEST_DURATION, *labels, value=lasted_s)
            if self._request_pusher is None:
                resource, began_ns = resource_of(self._service), time.time_ns()
                self._request_pusher = PushThread(
                    lambda: self._send_requests(resource, began_ns), every_s=_interval_s()
                )

    def push(self, read: Callable[[], Readings]) -> None:
        with self._lock:
            self._read = read
            if self._service_pusher is None:
                resource = resource_of(self._service, instance=False)
                self._service_pusher = PushThread(lambda: self._send(self._read(), resource, _UNKNOWN_START_NS))
            self._service_pusher.request_push()

    def _send_requests(self, resource: Resource, began_ns: int) -> None:
        with self._lock:
            readings = self._requests.readings()
        self._send(readings, resource, began_ns)

    def _send(self, readings: Readings, resource: Resource, began_ns: int) -> None:
        if readings:
            self._exporter.export(metrics_data(readings, resource, began_ns=began_ns, now_ns=time.time_ns()))


class PushThread:
    """Sends from its own thread: on request, at intervals, and once more when the process exits."""

    def __init__(self, send: Callable[[], None], *, every_s: float | None = None) -> None:
        """Start the thread. `every_s` None: send only on request."""
        self._send = send
        self._every_s = every_s
        self._changed = threading.Condition()
        self._is_due = self._closing = False
        self._closed = threading.Event()
        threading.Thread(target=self._run, name="metrics-push", daemon=True).start()
        atexit.register(self.close)

    def request_push(self) -> None:
        with self._changed:
            self._is_due = True
            self._changed.notify()

    def close(self) -> None:
        """Send what is left, without waiting for a collector that does not answer."""
        with self._changed:
            self._closing = True
            self._is_due = self._is_due or self._every_s is not None
            self._changed.notify()
        self._closed.wait(CLOSE_WITHIN_S)

    def _run(self) -> None:
        while self._wait_until_due():
            self._send()
        self._closed.set()

    def _wait_until_due(self) -> bool:
        """Wait until there is something to send; return False if there never will be."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_due or self._closing, timeout=self._every_s)
            due = self._is_due or not self._closing
            self._is_due = False
            return due


def metrics_data(readings: Readings, resource: Resource, *, began_ns: int, now_ns: int) -> MetricsData:
    metrics = [_sdk_metric(metric, values, began_ns, now_ns) for metric, values in readings.items() if values]
    scope = ScopeMetrics(scope=_SCOPE, metrics=metrics, schema_url="")
    return MetricsData(resource_metrics=[ResourceMetrics(resource=resource, scope_metrics=[scope], schema_url="")])


def _sdk_metric(metric: Metric, values: Values, began_ns: int, now_ns: int) -> SdkMetric:
    data: Sum | Gauge | Histogram
    match metric.kind:
        case MetricKind.COUNTER:
            points = list(_number_points(metric, values, began_ns, now_ns))
            data = Sum(data_points=points, aggregation_temporality=_CUMULATIVE, is_monotonic=True)
        case MetricKind.GAUGE:
            data = Gauge(data_points=list(_number_points(metric, values, None, now_ns)))
        case MetricKind.HISTOGRAM:
            histogram_points = list(_histogram_points(metric, values, began_ns, now_ns))
            data = Histogram(data_points=histogram_points, aggregation_temporality=_CUMULATIVE)
    return SdkMetric(name=metric.name, description=metric.description, unit=metric.unit, data=data)


def _number_points(metric: Metric, values: Values, began_ns: int | None, now_ns: int) -> Iterator[NumberDataPoint]:
    for labels, value in values.items():
        if not isinstance(value, Distribution):
            yield NumberDataPoint(
                attributes=_attributes(metric, labels),
                start_time_unix_nano=began_ns or 0,
                time_unix_nano=now_ns,
                value=value,
            )


def _histogram_points(metric: Metric, values: Values, began_ns: int, now_ns: int) -> Iterator[HistogramDataPoint]:
    for labels, value in values.items():
        if isinstance(value, Distribution):
            yield HistogramDataPoint(
                attributes=_attributes(metric, labels),
                start_time_unix_nano=began_ns,
                time_unix_nano=now_ns,
                count=value.count,
                sum=value.sum,
                bucket_counts=value.counts,
                explicit_bounds=metric.buckets,
                # Unknown here and optional in OTLP, although the SDK's types require them.
                min=None,  # type: ignore[arg-type]
                max=None,  # type: ignore[arg-type]
            )


def _attributes(metric: Metric, labels: Labels) -> dict[str, str]:
    """Return the attributes without the empty ones: Prometheus treats those as absent, and OpenTelemetry omits them."""
    return {name: label for name, label in zip(metric.attributes, labels, strict=True) if label}


def _interval_s() -> float:
    given = os.environ.get(INTERVAL, "")
    return int(given) / 1000 if given.isascii() and given.isdigit() and int(given) > 0 else PUSH_EVERY_S
