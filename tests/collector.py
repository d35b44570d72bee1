"""A collector for tests: takes OTLP over HTTP on a free port, keeps spans and metrics; it can be told to fail."""

from __future__ import annotations

import gzip
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric as MetricMessage
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
from opentelemetry.proto.trace.v1.trace_pb2 import Status

_TRACES = "/v1/traces"
_METRICS = "/v1/metrics"


@dataclass(frozen=True, kw_only=True)
class SeenSpan:
    name: str
    service: str
    trace_id: str
    span_id: str
    parent_id: str
    """Empty: it is the first of its trace."""
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]
    links: tuple[str, ...]
    """Their trace ids."""
    failed: bool
    kind: str

    @property
    def duration_ms(self) -> float:
        return (self.end_ns - self.start_ns) / 1e6


@dataclass(frozen=True, kw_only=True)
class SeenPoint:
    metric: str
    unit: str
    kind: str
    """`sum`, `gauge` or `histogram`, as OTLP has it."""
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]
    value: float
    """Of a histogram, how many were observed."""
    sum: float = 0.0
    bucket_counts: tuple[int, ...] = ()
    bounds: tuple[float, ...] = ()
    is_cumulative: bool = False


@dataclass
class Collector:
    port: int = 0
    status: int = 200
    """What it answers."""
    requests: list[tuple[str, bytes]] = field(default_factory=list)
    """Paths and bodies, unpacked."""
    headers: list[Mapping[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.endpoint}

    @property
    def bodies(self) -> list[bytes]:
        with self.lock:
            return [body for _, body in self.requests]

    def spans(self) -> list[SeenSpan]:
        with self.lock:
            bodies = [body for path, body in self.requests if path == _TRACES]
        return [span for body in bodies for span in _spans(ExportTraceServiceRequest.FromString(body))]

    def metrics(self) -> list[SeenPoint]:
        """Every point that was ever pushed, in the order of their coming."""
        with self.lock:
            bodies = [body for path, body in self.requests if path == _METRICS]
        return [point for body in bodies for point in _points(ExportMetricsServiceRequest.FromString(body))]

    def latest(self) -> dict[tuple[str, ...], float]:
        """The last value of each series, by its metric's name and its attributes' values in the order of their names;
        of a histogram how many were observed."""
        return {
            (point.metric, *(str(value) for _, value in sorted(point.attributes.items()))): point.value
            for point in self.metrics()
        }

    def take(self, path: str, headers: Mapping[str, str], body: bytes) -> int:
        if headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        with self.lock:
            self.requests.append((path, body))
            self.headers.append(headers)
        return self.status


@contextmanager
def running_collector() -> Iterator[Collector]:
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(collector.take(self.path, dict(self.headers), body))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            return None

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, request: Any, client_address: Any) -> None:
            # A sender that is killed breaks its connection off: that is what it is killed for.
            if not isinstance(sys.exception(), ConnectionError):
                super().handle_error(request, client_address)

    with Server(("127.0.0.1", 0), Handler) as server:
        collector.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()


def _spans(request: ExportTraceServiceRequest) -> Iterator[SeenSpan]:
    for of_resource in request.resource_spans:
        resource = _attributes(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield SeenSpan(
                    name=span.name,
                    service=str(resource.get("service.name")),
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    start_ns=span.start_time_unix_nano,
                    end_ns=span.end_time_unix_nano,
                    attributes=_attributes(span.attributes),
                    resource=resource,
                    links=tuple(link.trace_id.hex() for link in span.links),
                    failed=span.status.code == Status.STATUS_CODE_ERROR,
                    kind=SpanMessage.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
                )


def _points(request: ExportMetricsServiceRequest) -> Iterator[SeenPoint]:
    for of_resource in request.resource_metrics:
        resource = _attributes(of_resource.resource.attributes)
        for of_scope in of_resource.scope_metrics:
            for metric in of_scope.metrics:
                kind = str(metric.WhichOneof("data"))
                data = getattr(metric, kind)
                for point in data.data_points:
                    yield _point(metric, kind, data, point, resource)


def _point(metric: MetricMessage, kind: str, data: Any, point: Any, resource: Mapping[str, Any]) -> SeenPoint:
    is_histogram = kind == "histogram"
    return SeenPoint(
        metric=metric.name,
        unit=metric.unit,
        kind=kind,
        attributes=_attributes(point.attributes),
        resource=resource,
        value=point.count if is_histogram else getattr(point, point.WhichOneof("value")),
        sum=point.sum if is_histogram else 0.0,
        bucket_counts=tuple(point.bucket_counts) if is_histogram else (),
        bounds=tuple(point.explicit_bounds) if is_histogram else (),
        is_cumulative=kind != "gauge"
        and data.aggregation_temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE,
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair) for pair in pairs}


def _value(pair: KeyValue) -> Any:
    value: AnyValue = pair.value
    kind = value.WhichOneof("value")
    return None if kind is None else getattr(value, kind)
