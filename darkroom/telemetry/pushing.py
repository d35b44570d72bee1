"""Readings of the catalog as OTLP, sent by OpenTelemetry's exporter. Imported only where metrics are on.

Not by the SDK's instruments: most of what is told was counted in Redis, in histograms too, for which there is no
observable instrument. The readings become the SDK's own data points instead.
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
from darkroom.telemetry.complaints import quieten
from darkroom.telemetry.metric import Distribution, Kind, Metric, Readings, Values
from darkroom.telemetry.names import method_label
from darkroom.telemetry.platform_metrics import HTTP_SERVER_REQUEST_DURATION
from darkroom.telemetry.resource import resource_of
from darkroom.telemetry.tally import Labels, Tally

INTERVAL = "OTEL_METRIC_EXPORT_INTERVAL"
PUSH_EVERY_S = 15.0
"""Unless OTEL_METRIC_EXPORT_INTERVAL says otherwise, in milliseconds; the specification's minute is long for a process
that scales to zero."""
CLOSE_WITHIN_S = 1.8

_UNKNOWN_START_NS = 0
"""OTLP's word for it (metrics.proto): what Redis has counted began before any process that tells it."""
_SCOPE = InstrumentationScope("darkroom", darkroom.__version__)
_CUMULATIVE = AggregationTemporality.CUMULATIVE


class Pushing:
    """One a process."""

    def __init__(self, service: str, tell: Callable[[str], None]) -> None:
        quieten(tell)
        self._service = service
        self._exporter = OTLPMetricExporter()
        self._lock = threading.Lock()
        self._requests = Tally(HTTP_SERVER_REQUEST_DURATION)
        self._of_requests: Pusher | None = None
        self._read: Callable[[], Readings] = dict
        self._of_service: Pusher | None = None

    def observe_request(self, *, method: str, route: str, status: int, lasted_s: float) -> None:
        labels = (method_label(method), route, str(status))
        with self._lock:
            self._requests.observe(HTTP_SERVER_REQUEST_DURATION, *labels, value=lasted_s)
            if self._of_requests is None:
                resource, began_ns = resource_of(self._service), time.time_ns()
                self._of_requests = Pusher(lambda: self._send_requests(resource, began_ns), every_s=_interval_s())

    def push(self, read: Callable[[], Readings]) -> None:
        with self._lock:
            self._read = read
            if self._of_service is None:
                resource = resource_of(self._service, instance=False)
                self._of_service = Pusher(lambda: self._send(self._read(), resource, _UNKNOWN_START_NS))
            self._of_service.ask()

    def _send_requests(self, resource: Resource, began_ns: int) -> None:
        with self._lock:
            readings = self._requests.readings()
        self._send(readings, resource, began_ns)

    def _send(self, readings: Readings, resource: Resource, began_ns: int) -> None:
        if readings:
            self._exporter.export(metrics_data(readings, resource, began_ns=began_ns, now_ns=time.time_ns()))


class Pusher:
    """Sends in a thread of its own: when asked to, now and then, and once more when the process ends."""

    def __init__(self, send: Callable[[], None], *, every_s: float | None = None) -> None:
        """`every_s` None: only when asked to."""
        self._send = send
        self._every_s = every_s
        self._changed = threading.Condition()
        self._is_due = self._closing = False
        self._closed = threading.Event()
        threading.Thread(target=self._run, name="metrics-push", daemon=True).start()
        atexit.register(self.close)

    def ask(self) -> None:
        with self._changed:
            self._is_due = True
            self._changed.notify()

    def close(self) -> None:
        """Sends what there is; a collector that does not answer is not waited for."""
        with self._changed:
            self._closing = True
            self._is_due = self._is_due or self._every_s is not None
            self._changed.notify()
        self._closed.wait(CLOSE_WITHIN_S)

    def _run(self) -> None:
        while self._comes_due():
            self._send()
        self._closed.set()

    def _comes_due(self) -> bool:
        """False: there is nothing more to send, ever."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_due or self._closing, timeout=self._every_s)
            due = self._is_due or not self._closing
            self._is_due = False
            return due


def metrics_data(readings: Readings, resource: Resource, *, began_ns: int, now_ns: int) -> MetricsData:
    told = [_told(metric, values, began_ns, now_ns) for metric, values in readings.items() if values]
    scope = ScopeMetrics(scope=_SCOPE, metrics=told, schema_url="")
    return MetricsData(resource_metrics=[ResourceMetrics(resource=resource, scope_metrics=[scope], schema_url="")])


def _told(metric: Metric, values: Values, began_ns: int, now_ns: int) -> SdkMetric:
    data: Sum | Gauge | Histogram
    match metric.kind:
        case Kind.COUNTER:
            points = list(_numbers(metric, values, began_ns, now_ns))
            data = Sum(data_points=points, aggregation_temporality=_CUMULATIVE, is_monotonic=True)
        case Kind.GAUGE:
            data = Gauge(data_points=list(_numbers(metric, values, None, now_ns)))
        case Kind.HISTOGRAM:
            seen = list(_distributions(metric, values, began_ns, now_ns))
            data = Histogram(data_points=seen, aggregation_temporality=_CUMULATIVE)
    return SdkMetric(name=metric.name, description=metric.description, unit=metric.unit, data=data)


def _numbers(metric: Metric, values: Values, began_ns: int | None, now_ns: int) -> Iterator[NumberDataPoint]:
    for labels, value in values.items():
        if not isinstance(value, Distribution):
            yield NumberDataPoint(
                attributes=_attributes(metric, labels),
                start_time_unix_nano=began_ns or 0,
                time_unix_nano=now_ns,
                value=value,
            )


def _distributions(metric: Metric, values: Values, began_ns: int, now_ns: int) -> Iterator[HistogramDataPoint]:
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
                # Optional in OTLP, and not known here; the SDK's types do not say so.
                min=None,  # type: ignore[arg-type]
                max=None,  # type: ignore[arg-type]
            )


def _attributes(metric: Metric, labels: Labels) -> dict[str, str]:
    """An empty one is one that is not there: to Prometheus it is the same, and OpenTelemetry wants it so."""
    return {name: label for name, label in zip(metric.attributes, labels, strict=True) if label}


def _interval_s() -> float:
    given = os.environ.get(INTERVAL, "")
    return int(given) / 1000 if given.isascii() and given.isdigit() and int(given) > 0 else PUSH_EVERY_S
