"""Definitions of the platform's metrics: JetStream streams, the local runtime, and HTTP requests.

On a cluster, Knative's own metrics replace the runtime's. Streams and requests are measured there too: by `recovery`,
and by the functions that answer HTTP requests from users.
"""

from __future__ import annotations

from darkroom.telemetry.metric import Metric, MetricKind, Source

_HTTP_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""The buckets that OpenTelemetry's semantic conventions recommend."""
_COLD_START_BUCKETS_S = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0)

# --- JetStream -------------------------------------------------------------------------------------------------------

STREAM_MESSAGES = Metric(
    name="darkroom.stream.messages",
    kind=MetricKind.GAUGE,
    unit="{message}",
    attributes=("stream",),
    description="Messages in a JetStream stream.",
    source=Source.BROKER,
)
STREAM_SIZE = Metric(
    name="darkroom.stream.size",
    kind=MetricKind.GAUGE,
    unit="By",
    attributes=("stream",),
    description="Bytes in a JetStream stream.",
    source=Source.BROKER,
)
STREAM_LIMIT = Metric(
    name="darkroom.stream.limit",
    kind=MetricKind.GAUGE,
    unit="By",
    attributes=("stream",),
    description="Bytes at which a JetStream stream is full: its own limit, else what the server has left for it.",
    source=Source.BROKER,
)

# --- the local runtime -----------------------------------------------------------------------------------------------

TRIGGER_BACKLOG = Metric(
    name="darkroom.trigger.backlog",
    kind=MetricKind.GAUGE,
    unit="{message}",
    attributes=("trigger",),
    description="Messages that the consumer of a Trigger (or `subscription NAME`) has not been given yet.",
    source=Source.RUNTIME,
)
TRIGGER_IN_FLIGHT = Metric(
    name="darkroom.trigger.in_flight",
    kind=MetricKind.GAUGE,
    unit="{message}",
    attributes=("trigger",),
    description="Messages that the consumer of a Trigger (or `subscription NAME`) was given and has not acknowledged.",
    source=Source.RUNTIME,
)
DELIVERIES = Metric(
    name="darkroom.deliveries",
    kind=MetricKind.COUNTER,
    unit="{delivery}",
    attributes=("trigger", "outcome"),
    description="Deliveries by outcome: delivered, retried, dead_lettered, lost.",
    source=Source.RUNTIME,
)
INSTANCES = Metric(
    name="darkroom.instances",
    kind=MetricKind.GAUGE,
    unit="{instance}",
    attributes=("service", "state"),
    description="Instances of a Service: wanted, ready, starting, draining.",
    source=Source.RUNTIME,
)
INSTANCES_CAPACITY = Metric(
    name="darkroom.instances.capacity",
    kind=MetricKind.GAUGE,
    unit="{request}",
    attributes=("service",),
    description="Requests that the ready instances accept at once: their number times containerConcurrency; left out "
    "where that has no limit.",
    source=Source.RUNTIME,
)
REQUESTS_IN_FLIGHT = Metric(
    name="darkroom.requests.in_flight",
    kind=MetricKind.GAUGE,
    unit="{request}",
    attributes=("service",),
    description="Requests that a Service's instances are processing.",
    source=Source.RUNTIME,
)
ACTIVATOR_WAITING = Metric(
    name="darkroom.activator.waiting",
    kind=MetricKind.GAUGE,
    unit="{request}",
    attributes=("service",),
    description="Requests that wait in the activator for an instance.",
    source=Source.RUNTIME,
)
AUTOSCALER_PANICKING = Metric(
    name="darkroom.autoscaler.panicking",
    kind=MetricKind.GAUGE,
    unit="",
    attributes=("service",),
    description="1 while the Service's autoscaler is in panic mode, else 0.",
    source=Source.RUNTIME,
)
COLD_STARTS = Metric(
    name="darkroom.cold_starts",
    kind=MetricKind.COUNTER,
    unit="{start}",
    attributes=("service",),
    description="Instances that were started and became ready.",
    source=Source.RUNTIME,
)
COLD_START_DURATION = Metric(
    name="darkroom.cold_start.duration",
    kind=MetricKind.HISTOGRAM,
    unit="s",
    attributes=("service",),
    description="From the start of an instance's process until it is ready.",
    buckets=_COLD_START_BUCKETS_S,
    source=Source.RUNTIME,
)
SERVER_UP = Metric(
    name="darkroom.server.up",
    kind=MetricKind.GAUGE,
    unit="",
    attributes=("server",),
    description="1 when the server answered the latest check, else 0: nats, redis, s3.",
    source=Source.RUNTIME,
)
SERVER_RESTARTS = Metric(
    name="darkroom.server.restarts",
    kind=MetricKind.COUNTER,
    unit="{restart}",
    attributes=("server",),
    description="How often a server died and was started again.",
    source=Source.RUNTIME,
)
STORAGE_SIZE = Metric(
    name="darkroom.storage.size",
    kind=MetricKind.GAUGE,
    unit="By",
    description="Bytes in the S3 server's folder; measured once a minute.",
    source=Source.RUNTIME,
)
PROCESS_CPU_TIME = Metric(
    name="process.cpu.time",
    kind=MetricKind.COUNTER,
    unit="s",
    attributes=("process",),
    description="CPU time of nats, redis, s3, the runtime, and each Service's instances together.",
    source=Source.RUNTIME,
)
PROCESS_MEMORY_USAGE = Metric(
    name="process.memory.usage",
    kind=MetricKind.GAUGE,
    unit="By",
    attributes=("process",),
    description="Resident memory of nats, redis, s3, the runtime, and each Service's instances together.",
    source=Source.RUNTIME,
)

# --- the front door --------------------------------------------------------------------------------------------------

HTTP_SERVER_REQUEST_DURATION = Metric(
    name="http.server.request.duration",
    kind=MetricKind.HISTOGRAM,
    unit="s",
    attributes=("http.request.method", "http.route", "http.response.status_code"),
    description="From a request's arrival to the end of its response. The route is its template, or empty.",
    buckets=_HTTP_BUCKETS_S,
    source=Source.FRONT,
)

CATALOG: tuple[Metric, ...] = (
    STREAM_MESSAGES,
    STREAM_SIZE,
    STREAM_LIMIT,
    TRIGGER_BACKLOG,
    TRIGGER_IN_FLIGHT,
    DELIVERIES,
    INSTANCES,
    INSTANCES_CAPACITY,
    REQUESTS_IN_FLIGHT,
    ACTIVATOR_WAITING,
    AUTOSCALER_PANICKING,
    COLD_STARTS,
    COLD_START_DURATION,
    SERVER_UP,
    SERVER_RESTARTS,
    STORAGE_SIZE,
    PROCESS_CPU_TIME,
    PROCESS_MEMORY_USAGE,
    HTTP_SERVER_REQUEST_DURATION,
)
