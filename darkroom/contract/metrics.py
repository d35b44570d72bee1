"""The catalog of metrics: what is measured, under which name, in which unit. Nothing here measures.

The store's scripts, the local runtime's `/metrics`, the OTLP push, the rules, the dashboards and the documentation take
names, attributes and buckets from here. Names are OpenTelemetry's way (dots, a unit beside); the name that Prometheus
sees follows by OpenTelemetry's rule (`Metric.prometheus_name`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class Kind(StrEnum):
    COUNTER = "counter"
    """Only grows."""
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Source(StrEnum):
    """Who measures."""

    RECORD = "job record"
    """Counted in Redis by the scripts that change a job, so that no killed instance loses or doubles a count. Read by
    the local runtime, and on a cluster by `recovery`, which pushes it."""
    BROKER = "JetStream"
    """Like the record's: asked by the local runtime, and on a cluster by `recovery`."""
    RUNTIME = "local runtime"
    """A cluster has Knative's own metrics instead."""
    FRONT = "gateway; on a cluster ingest and status"


_UNIT_SUFFIXES = {"s": "_seconds", "By": "_bytes"}


@dataclass(frozen=True, kw_only=True)
class Metric:
    name: str
    kind: Kind
    unit: str
    """UCUM, as OpenTelemetry has it: `s`, `By`, or what is counted in braces."""
    attributes: tuple[str, ...] = ()
    description: str
    buckets: tuple[float, ...] = ()
    """Of a histogram: the upper bounds, inclusive, without the last one, which is infinity."""
    source: Source

    @property
    def prometheus_name(self) -> str:
        """Of the family: a histogram's samples add `_bucket`, `_sum` and `_count` (OpenTelemetry specification,
        "Prometheus and OpenMetrics Compatibility", metric metadata)."""
        total = "_total" if self.kind is Kind.COUNTER else ""
        return self.name.replace(".", "_") + _UNIT_SUFFIXES.get(self.unit, "") + total

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(attribute.replace(".", "_") for attribute in self.attributes)


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """What a histogram has seen."""

    counts: tuple[int, ...]
    """For each bucket by itself, the one up to infinity last."""
    sum: float

    @property
    def count(self) -> int:
        return sum(self.counts)


Values: TypeAlias = Mapping[tuple[str, ...], float | Distribution]
"""By the values of the attributes, in their order."""
Readings: TypeAlias = Mapping[Metric, Values]
"""What was measured, whoever measured it, ready to be served or pushed."""

OBJECTIVE_WITHIN_S = 10.0
"""A standard job is good when it has ended within this time of its acceptance, and not for a fault of ours."""
OBJECTIVE_RATIO = 0.995
"""Of standard jobs that are to be good."""

COST_CLASSES = ("standard", "heavy")
STAGES = ("queued", "fetch", "render", "store")

_JOB_BUCKETS_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_STAGE_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_HTTP_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Those that OpenTelemetry's semantic conventions advise."""
_COLD_START_BUCKETS_S = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0)

# --- the job record --------------------------------------------------------------------------------------------------

JOBS_ACCEPTED = Metric(
    name="darkroom.jobs.accepted",
    kind=Kind.COUNTER,
    unit="{job}",
    attributes=("type", "cost_class"),
    description="Jobs that were written to the job store.",
    source=Source.RECORD,
)
JOBS_RETRACTED = Metric(
    name="darkroom.jobs.retracted",
    kind=Kind.COUNTER,
    unit="{job}",
    attributes=("type", "cost_class"),
    description="Accepted jobs that were taken back, because the answer got lost and their caller was told that "
    "nothing was accepted. accepted + redriven = ended + unfinished + retracted.",
    source=Source.RECORD,
)
JOBS_ENDED = Metric(
    name="darkroom.jobs.ended",
    kind=Kind.COUNTER,
    unit="{job}",
    attributes=("type", "cost_class", "status", "error.type"),
    description="Jobs that ended; the error is empty when completed. A redriven job ends once more.",
    source=Source.RECORD,
)
JOB_ATTEMPTS = Metric(
    name="darkroom.job.attempts",
    kind=Kind.COUNTER,
    unit="{attempt}",
    attributes=("type", "error.type"),
    description="Attempts that ended; the error is empty for the one that completed the job. One that was taken for "
    "dead and came back has ended twice.",
    source=Source.RECORD,
)
JOBS_EMITTED_AGAIN = Metric(
    name="darkroom.jobs.emitted_again",
    kind=Kind.COUNTER,
    unit="{emission}",
    attributes=("type",),
    description="Jobs that recovery took up to emit them once more.",
    source=Source.RECORD,
)
JOBS_REDRIVEN = Metric(
    name="darkroom.jobs.redriven",
    kind=Kind.COUNTER,
    unit="{job}",
    attributes=("type",),
    description="Failed jobs that a person had done again.",
    source=Source.RECORD,
)
JOB_DURATION = Metric(
    name="darkroom.job.duration",
    kind=Kind.HISTOGRAM,
    unit="s",
    attributes=("type", "cost_class", "status"),
    description="From a job's acceptance to its end. Its first end: what a redriven job waited for a "
    "person is left out.",
    buckets=_JOB_BUCKETS_S,
    source=Source.RECORD,
)
JOB_STAGE_DURATION = Metric(
    name="darkroom.job.stage.duration",
    kind=Kind.HISTOGRAM,
    unit="s",
    attributes=("type", "stage"),
    description="Stages of a job: queued until its first claim; fetch, render and store of the attempt that "
    "completed it.",
    buckets=_STAGE_BUCKETS_S,
    source=Source.RECORD,
)
RENDER_DURATION = Metric(
    name="darkroom.render.duration",
    kind=Kind.HISTOGRAM,
    unit="s",
    attributes=("format",),
    description="The render stage of completed jobs by the result's format.",
    buckets=_STAGE_BUCKETS_S,
    source=Source.RECORD,
)
RESULT_SIZE = Metric(
    name="darkroom.result.size",
    kind=Kind.COUNTER,
    unit="By",
    attributes=("format",),
    description="Bytes of the results of completed jobs, all together.",
    source=Source.RECORD,
)
OBJECTIVE_JOBS = Metric(
    name="darkroom.objective.jobs",
    kind=Kind.COUNTER,
    unit="{job}",
    attributes=("good",),
    description=f"Standard jobs at their first end. Good: within {OBJECTIVE_WITHIN_S:g} s of the acceptance, as "
    "completed or failed for the picture's or the request's own fault.",
    source=Source.RECORD,
)
JOBS_UNFINISHED = Metric(
    name="darkroom.jobs.unfinished",
    kind=Kind.GAUGE,
    unit="{job}",
    attributes=("status",),
    description="Jobs that are queued or in work.",
    source=Source.RECORD,
)
JOBS_OLDEST_UNFINISHED_AGE = Metric(
    name="darkroom.jobs.oldest_unfinished_age",
    kind=Kind.GAUGE,
    unit="s",
    description="Age of the oldest unfinished job since its acceptance; 0 where there is none.",
    source=Source.RECORD,
)
JOBS_OUTBOX = Metric(
    name="darkroom.jobs.outbox",
    kind=Kind.GAUGE,
    unit="{job}",
    description="Queued jobs, older than ingest takes to emit them, whose latest event no broker confirmed: the broker "
    "is down.",
    source=Source.RECORD,
)
JOBS_GIVEN_UP = Metric(
    name="darkroom.jobs.given_up",
    kind=Kind.GAUGE,
    unit="{job}",
    description="Failed jobs that wait to be kept with the dead letters.",
    source=Source.RECORD,
)

# --- JetStream -------------------------------------------------------------------------------------------------------

DEAD_LETTERS = Metric(
    name="darkroom.dead_letters",
    kind=Kind.GAUGE,
    unit="{message}",
    description="Dead letters that wait for a person.",
    source=Source.BROKER,
)
STREAM_MESSAGES = Metric(
    name="darkroom.stream.messages",
    kind=Kind.GAUGE,
    unit="{message}",
    attributes=("stream",),
    description="Messages in a JetStream stream.",
    source=Source.BROKER,
)
STREAM_SIZE = Metric(
    name="darkroom.stream.size",
    kind=Kind.GAUGE,
    unit="By",
    attributes=("stream",),
    description="Bytes in a JetStream stream.",
    source=Source.BROKER,
)
STREAM_LIMIT = Metric(
    name="darkroom.stream.limit",
    kind=Kind.GAUGE,
    unit="By",
    attributes=("stream",),
    description="Bytes at which a JetStream stream is full: its own limit, else what the server has left for it.",
    source=Source.BROKER,
)

# --- the local runtime -----------------------------------------------------------------------------------------------

TRIGGER_BACKLOG = Metric(
    name="darkroom.trigger.backlog",
    kind=Kind.GAUGE,
    unit="{message}",
    attributes=("trigger",),
    description="Messages that a Trigger's consumer has not been given yet.",
    source=Source.RUNTIME,
)
TRIGGER_IN_FLIGHT = Metric(
    name="darkroom.trigger.in_flight",
    kind=Kind.GAUGE,
    unit="{message}",
    attributes=("trigger",),
    description="Messages that a Trigger's consumer was given and has not acknowledged.",
    source=Source.RUNTIME,
)
DELIVERIES = Metric(
    name="darkroom.deliveries",
    kind=Kind.COUNTER,
    unit="{delivery}",
    attributes=("trigger", "outcome"),
    description="Deliveries by what came of them: delivered, retried, dead_lettered, lost.",
    source=Source.RUNTIME,
)
INSTANCES = Metric(
    name="darkroom.instances",
    kind=Kind.GAUGE,
    unit="{instance}",
    attributes=("service", "state"),
    description="Instances of a Service: wanted, ready, starting, draining.",
    source=Source.RUNTIME,
)
INSTANCES_CAPACITY = Metric(
    name="darkroom.instances.capacity",
    kind=Kind.GAUGE,
    unit="{request}",
    attributes=("service",),
    description="Requests that the ready instances take at once: their number times containerConcurrency; left out "
    "where that has no limit.",
    source=Source.RUNTIME,
)
REQUESTS_IN_FLIGHT = Metric(
    name="darkroom.requests.in_flight",
    kind=Kind.GAUGE,
    unit="{request}",
    attributes=("service",),
    description="Requests that a Service's instances have in work.",
    source=Source.RUNTIME,
)
ACTIVATOR_WAITING = Metric(
    name="darkroom.activator.waiting",
    kind=Kind.GAUGE,
    unit="{request}",
    attributes=("service",),
    description="Requests that wait in the activator for an instance.",
    source=Source.RUNTIME,
)
AUTOSCALER_PANICKING = Metric(
    name="darkroom.autoscaler.panicking",
    kind=Kind.GAUGE,
    unit="",
    attributes=("service",),
    description="1 while the Service's autoscaler is in panic mode, else 0.",
    source=Source.RUNTIME,
)
COLD_STARTS = Metric(
    name="darkroom.cold_starts",
    kind=Kind.COUNTER,
    unit="{start}",
    attributes=("service",),
    description="Instances that were started and became ready.",
    source=Source.RUNTIME,
)
COLD_START_DURATION = Metric(
    name="darkroom.cold_start.duration",
    kind=Kind.HISTOGRAM,
    unit="s",
    attributes=("service",),
    description="From an instance's spawn to its being ready.",
    buckets=_COLD_START_BUCKETS_S,
    source=Source.RUNTIME,
)
SERVER_UP = Metric(
    name="darkroom.server.up",
    kind=Kind.GAUGE,
    unit="",
    attributes=("server",),
    description="1 when the server answered at the latest look, else 0: nats, redis, s3.",
    source=Source.RUNTIME,
)
SERVER_RESTARTS = Metric(
    name="darkroom.server.restarts",
    kind=Kind.COUNTER,
    unit="{restart}",
    attributes=("server",),
    description="How often a server died and was started again.",
    source=Source.RUNTIME,
)
STORAGE_SIZE = Metric(
    name="darkroom.storage.size",
    kind=Kind.GAUGE,
    unit="By",
    description="What the S3 server's folder holds; measured seldom.",
    source=Source.RUNTIME,
)
PROCESS_CPU_TIME = Metric(
    name="process.cpu.time",
    kind=Kind.COUNTER,
    unit="s",
    attributes=("process",),
    description="Processor time of nats, redis, s3, the runtime, and each Service's instances together.",
    source=Source.RUNTIME,
)
PROCESS_MEMORY_USAGE = Metric(
    name="process.memory.usage",
    kind=Kind.GAUGE,
    unit="By",
    attributes=("process",),
    description="Resident memory of nats, redis, s3, the runtime, and each Service's instances together.",
    source=Source.RUNTIME,
)

# --- the front door --------------------------------------------------------------------------------------------------

HTTP_SERVER_REQUEST_DURATION = Metric(
    name="http.server.request.duration",
    kind=Kind.HISTOGRAM,
    unit="s",
    attributes=("http.request.method", "http.route", "http.response.status_code"),
    description="From a request's arrival to the end of its answer. The route is its template, or empty.",
    buckets=_HTTP_BUCKETS_S,
    source=Source.FRONT,
)

CATALOG: tuple[Metric, ...] = (
    JOBS_ACCEPTED,
    JOBS_RETRACTED,
    JOBS_ENDED,
    JOB_ATTEMPTS,
    JOBS_EMITTED_AGAIN,
    JOBS_REDRIVEN,
    JOB_DURATION,
    JOB_STAGE_DURATION,
    RENDER_DURATION,
    RESULT_SIZE,
    OBJECTIVE_JOBS,
    JOBS_UNFINISHED,
    JOBS_OLDEST_UNFINISHED_AGE,
    JOBS_OUTBOX,
    JOBS_GIVEN_UP,
    DEAD_LETTERS,
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
