"""The application's metrics: name, unit, attributes and buckets of everything counted about jobs. Nothing here
measures.

The job store's scripts, the OTLP push, the rules, the dashboards and the documentation read them from here.
"""

from __future__ import annotations

from darkroom.telemetry.metric import Metric, MetricKind, Source

OBJECTIVE_WITHIN_S = 10.0
"""A standard job is good when it ends within this time of its acceptance, and not because of a fault of ours."""
OBJECTIVE_RATIO = 0.995
"""The share of standard jobs that must be good."""

COST_CLASSES = ("standard", "heavy")
STAGES = ("queued", "fetch", "render", "store")

_JOB_BUCKETS_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_STAGE_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

JOBS_ACCEPTED = Metric(
    name="darkroom.jobs.accepted",
    kind=MetricKind.COUNTER,
    unit="{job}",
    attributes=("type", "cost_class"),
    description="Jobs written to the job store.",
    source=Source.RECORD,
)
JOBS_RETRACTED = Metric(
    name="darkroom.jobs.retracted",
    kind=MetricKind.COUNTER,
    unit="{job}",
    attributes=("type", "cost_class"),
    description="Accepted jobs that were withdrawn: the answer got lost, and the caller was told that nothing was "
    "accepted. accepted + redriven = ended + unfinished + retracted.",
    source=Source.RECORD,
)
JOBS_ENDED = Metric(
    name="darkroom.jobs.ended",
    kind=MetricKind.COUNTER,
    unit="{job}",
    attributes=("type", "cost_class", "status", "error.type"),
    description="Jobs that ended; the error is empty when completed. A redriven job ends once more.",
    source=Source.RECORD,
)
JOB_ATTEMPTS = Metric(
    name="darkroom.job.attempts",
    kind=MetricKind.COUNTER,
    unit="{attempt}",
    attributes=("type", "error.type"),
    description="Attempts that ended; the error is empty for the one that completed the job. An attempt that was "
    "presumed dead and came back has ended twice.",
    source=Source.RECORD,
)
JOBS_EMITTED_AGAIN = Metric(
    name="darkroom.jobs.emitted_again",
    kind=MetricKind.COUNTER,
    unit="{emission}",
    attributes=("type",),
    description="Jobs that recovery emitted again.",
    source=Source.RECORD,
)
JOBS_REDRIVEN = Metric(
    name="darkroom.jobs.redriven",
    kind=MetricKind.COUNTER,
    unit="{job}",
    attributes=("type",),
    description="Failed jobs that a person redrove.",
    source=Source.RECORD,
)
JOB_DURATION = Metric(
    name="darkroom.job.duration",
    kind=MetricKind.HISTOGRAM,
    unit="s",
    attributes=("type", "cost_class", "status"),
    description="Time from a job's acceptance to its first end, so that a redriven job's wait for a person does "
    "not count.",
    buckets=_JOB_BUCKETS_S,
    source=Source.RECORD,
)
JOB_STAGE_DURATION = Metric(
    name="darkroom.job.stage.duration",
    kind=MetricKind.HISTOGRAM,
    unit="s",
    attributes=("type", "stage"),
    description="Stages of a job: queued until its first claim; fetch, render and store of the attempt that "
    "completed it.",
    buckets=_STAGE_BUCKETS_S,
    source=Source.RECORD,
)
RENDER_DURATION = Metric(
    name="darkroom.render.duration",
    kind=MetricKind.HISTOGRAM,
    unit="s",
    attributes=("format",),
    description="The render stage of completed jobs by the result's format.",
    buckets=_STAGE_BUCKETS_S,
    source=Source.RECORD,
)
RESULT_SIZE = Metric(
    name="darkroom.result.size",
    kind=MetricKind.COUNTER,
    unit="By",
    attributes=("format",),
    description="Total bytes of the results of completed jobs.",
    source=Source.RECORD,
)
OBJECTIVE_JOBS = Metric(
    name="darkroom.objective.jobs",
    kind=MetricKind.COUNTER,
    unit="{job}",
    attributes=("good",),
    description=f"Standard jobs at their first end. Good: within {OBJECTIVE_WITHIN_S:g} s of the acceptance, "
    "completed or failed because of the picture or the request.",
    source=Source.RECORD,
)
JOBS_UNFINISHED = Metric(
    name="darkroom.jobs.unfinished",
    kind=MetricKind.GAUGE,
    unit="{job}",
    attributes=("status",),
    description="Jobs that are queued or processing.",
    source=Source.RECORD,
)
JOBS_OLDEST_UNFINISHED_AGE = Metric(
    name="darkroom.jobs.oldest_unfinished_age",
    kind=MetricKind.GAUGE,
    unit="s",
    description="Age of the oldest unfinished job since its acceptance; 0 where there is none.",
    source=Source.RECORD,
)
JOBS_OUTBOX = Metric(
    name="darkroom.jobs.outbox",
    kind=MetricKind.GAUGE,
    unit="{job}",
    description="Queued jobs, older than ingest takes to emit them, whose latest event no broker confirmed: the broker "
    "is down.",
    source=Source.RECORD,
)
JOBS_GIVEN_UP = Metric(
    name="darkroom.jobs.given_up",
    kind=MetricKind.GAUGE,
    unit="{job}",
    description="Failed jobs that wait to be kept with the dead letters.",
    source=Source.RECORD,
)
JOBS_IN_LANES = Metric(
    name="darkroom.jobs.in_lanes",
    kind=MetricKind.GAUGE,
    unit="{job}",
    description="Accepted jobs that wait for room in their Trigger's window, BROKER_WINDOW, before they are emitted.",
    source=Source.RECORD,
    attributes=("type", "cost_class"),
)
WEBHOOKS_SENT = Metric(
    name="darkroom.webhooks.sent",
    kind=MetricKind.COUNTER,
    unit="{message}",
    description="Webhooks that an endpoint has taken.",
    source=Source.RECORD,
)
WEBHOOKS_FAILED = Metric(
    name="darkroom.webhooks.failed",
    kind=MetricKind.COUNTER,
    unit="{attempt}",
    attributes=("reason",),
    description="Tries to send a webhook that failed, by the reason.",
    source=Source.RECORD,
)
WEBHOOKS_GIVEN_UP = Metric(
    name="darkroom.webhooks.given_up",
    kind=MetricKind.COUNTER,
    unit="{message}",
    description="Webhooks whose tries are spent; they are kept with the dead letters.",
    source=Source.RECORD,
)
WEBHOOKS_OWED = Metric(
    name="darkroom.webhooks.owed",
    kind=MetricKind.GAUGE,
    unit="{message}",
    description="Webhooks that an endpoint has not yet taken, and that are still tried.",
    source=Source.RECORD,
)
WEBHOOKS_OLDEST_OWED_AGE = Metric(
    name="darkroom.webhooks.oldest_owed_age",
    kind=MetricKind.GAUGE,
    unit="s",
    description="How long the longest owed webhook has been owed, since its job ended; 0 where none is.",
    source=Source.RECORD,
)
JOBS_WITH_BROKER = Metric(
    name="darkroom.jobs.with_broker",
    kind=MetricKind.GAUGE,
    unit="{job}",
    description="Jobs that have a place in their Trigger's window: emitted, or about to be, and not ended. 0 without a "
    "window.",
    source=Source.RECORD,
    attributes=("type", "cost_class"),
)
BROKER_WINDOW = Metric(
    name="darkroom.broker_window",
    kind=MetricKind.GAUGE,
    unit="{job}",
    description="BROKER_WINDOW, the places in each Trigger's window; 0: any number.",
    source=Source.RECORD,
)
LANE_OLDEST_WAIT = Metric(
    name="darkroom.lane.oldest_wait",
    kind=MetricKind.GAUGE,
    unit="s",
    description="Time since the acceptance of the job that waits longest in the lane, of any key; 0 if none waits.",
    source=Source.RECORD,
    attributes=("type", "cost_class"),
)
JOBS_REFUSED = Metric(
    name="darkroom.jobs.refused",
    kind=MetricKind.COUNTER,
    unit="{job}",
    description="Jobs that were not accepted because their key's quota was used up (quota), or because the backlog or "
    "the job store was full (backlog).",
    source=Source.RECORD,
    attributes=("limit",),
)
ORIGINAL_SIZE = Metric(
    name="darkroom.original.size",
    kind=MetricKind.COUNTER,
    unit="By",
    description="Total bytes of the originals that came with their jobs' requests. Signed uploads are not counted.",
    source=Source.RECORD,
)
DEAD_LETTERS = Metric(
    name="darkroom.dead_letters",
    kind=MetricKind.GAUGE,
    unit="{message}",
    description="Dead letters that wait for a person.",
    source=Source.BROKER,
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
    JOBS_IN_LANES,
    WEBHOOKS_SENT,
    WEBHOOKS_FAILED,
    WEBHOOKS_GIVEN_UP,
    WEBHOOKS_OWED,
    WEBHOOKS_OLDEST_OWED_AGE,
    JOBS_WITH_BROKER,
    BROKER_WINDOW,
    LANE_OLDEST_WAIT,
    JOBS_REFUSED,
    ORIGINAL_SIZE,
    DEAD_LETTERS,
)
