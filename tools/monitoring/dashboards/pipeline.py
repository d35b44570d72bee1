"""The pipeline dashboard: a job's path and where it waits: accepted, emitted, kept in the stream, delivered, attempted,
ended.
"""

from __future__ import annotations

from tools import catalog as m
from tools.monitoring.dashboards.panels import Dashboard, Panel, Query, Row, Unit
from tools.monitoring.dashboards.queries import now, quantiles, rate, recorded
from tools.monitoring.records import DRAIN_TIME, REFUSED, STORE_USED, VOLUMES_USED, stored_record

PIPELINE = Dashboard(
    uid="darkroom-pipeline",
    title="Darkroom / Job pipeline",
    description="A job's path from acceptance to end, and where it waits.",
    rows=(
        Row(
            title="In and out",
            panels=(
                Panel(
                    title="Accepted",
                    description="By job type and cost class.",
                    queries=(rate(m.JOBS_ACCEPTED, "type", "cost_class"),),
                    unit=Unit.PER_S,
                    stacked=True,
                ),
                Panel(
                    title="Ended",
                    description="By job type and status.",
                    queries=(rate(m.JOBS_ENDED, "type", "status"),),
                    unit=Unit.PER_S,
                    stacked=True,
                ),
                Panel(
                    title="From acceptance to end, by cost class",
                    description="Standard jobs have the objective; heavy ones have Services of their own.",
                    queries=quantiles(m.JOB_DURATION, "cost_class", of=(0.5, 0.99)),
                    unit=Unit.SECONDS,
                    bad_above=m.OBJECTIVE_WITHIN_S,
                ),
            ),
        ),
        Row(
            title="Waiting jobs",
            panels=(
                Panel(
                    title="Unfinished, by status",
                    description="Queued: no attempt holds it. Processing: one does, or did until its lease ran out.",
                    queries=(now(m.JOBS_UNFINISHED, "status"),),
                    stacked=True,
                ),
                Panel(
                    title="Age of the oldest unfinished job",
                    description="Bad above a quarter of an hour.",
                    queries=(now(m.JOBS_OLDEST_UNFINISHED_AGE, aggregate="max", legend="oldest"),),
                    unit=Unit.SECONDS,
                    bad_above=900,
                ),
                Panel(
                    title="Not passed on",
                    description="The outbox waits for the Broker, the given-up jobs for the dead-letter stream.",
                    queries=(
                        now(m.JOBS_OUTBOX, aggregate="max", legend="outbox"),
                        now(m.JOBS_GIVEN_UP, aggregate="max", legend="given up, not kept"),
                    ),
                ),
            ),
        ),
        Row(
            title="The queue",
            panels=(
                Panel(
                    title="Waiting in lanes",
                    description="Jobs beyond BROKER_WINDOW. Keys take turns: a backlog delays its own key only.",
                    queries=(now(m.JOBS_IN_LANES, "type", "cost_class", aggregate="max"),),
                    stacked=True,
                ),
                Panel(
                    title="With the Broker, and the window",
                    description="Full while jobs wait in the lane: as it should be. Full, and nothing ends: bad.",
                    queries=(
                        now(m.JOBS_WITH_BROKER, "type", "cost_class", aggregate="max"),
                        now(m.BROKER_WINDOW, aggregate="max", legend="BROKER_WINDOW"),
                    ),
                ),
                Panel(
                    title="Longest wait in a lane",
                    description="Of any key. Bad above half an hour.",
                    queries=(now(m.LANE_OLDEST_WAIT, "type", "cost_class", aggregate="max"),),
                    unit=Unit.SECONDS,
                    bad_above=1800,
                ),
                Panel(
                    title="Time to drain",
                    description="Unfinished jobs at the rate at which jobs ended in five minutes. Bad above an hour.",
                    queries=(recorded(DRAIN_TIME, legend="backlog"),),
                    unit=Unit.SECONDS,
                    bad_above=3600,
                ),
                Panel(
                    title="Refused jobs",
                    description="By limit: a key's quota; MAX_BACKLOG or the job store's memory.",
                    queries=(rate(m.JOBS_REFUSED, "limit"),),
                    unit=Unit.PER_S,
                    stacked=True,
                ),
                Panel(
                    title="Share of refused jobs",
                    description="Of those asked for in 15 minutes, by limit.",
                    queries=(recorded(REFUSED, legend="{{limit}}"),),
                    unit=Unit.SHARE,
                    bad_above=0.1,
                    at_most=1,
                ),
            ),
        ),
        Row(
            title="The stream",
            panels=(
                Panel(
                    title="Messages",
                    description="An empty stream has no work left.",
                    queries=(now(m.STREAM_MESSAGES, "stream", aggregate="max"),),
                ),
                Panel(
                    title="Fill level",
                    description="Relative to its limit, if it has one. A full stream refuses events.",
                    queries=(recorded("darkroom:stream_used:ratio", legend="{{stream}}"),),
                    unit=Unit.SHARE,
                    bad_above=0.8,
                    at_most=1,
                ),
                Panel(
                    title="Size",
                    description="And its limit.",
                    queries=(
                        now(m.STREAM_SIZE, "stream", aggregate="max", legend="{{stream}}"),
                        now(m.STREAM_LIMIT, "stream", aggregate="max", legend="{{stream}}, limit"),
                    ),
                    unit=Unit.BYTES,
                ),
                Panel(
                    title="Undelivered, by Trigger",
                    description="Local runtime: waiting because of maxAckPending.",
                    queries=(now(m.TRIGGER_BACKLOG, "trigger"),),
                ),
                Panel(
                    title="In delivery, by Trigger",
                    description="Local runtime: delivered and not acknowledged; at most maxAckPending.",
                    queries=(now(m.TRIGGER_IN_FLIGHT, "trigger"),),
                ),
                Panel(
                    title="Deliveries",
                    description="Local runtime: by result.",
                    queries=(rate(m.DELIVERIES, "outcome"),),
                    unit=Unit.PER_S,
                ),
            ),
        ),
        Row(
            title="The work",
            panels=(
                Panel(
                    title="Stages, 95th percentile",
                    description="Queued is the wait for the first attempt, a cold start included.",
                    queries=quantiles(m.JOB_STAGE_DURATION, "stage", of=(0.95,)),
                    unit=Unit.SECONDS,
                ),
                Panel(
                    title="Attempts per job",
                    description="1 means a job took one attempt.",
                    queries=(recorded("darkroom:attempts_per_job:ratio_rate15m", legend="attempts"),),
                    bad_above=1.5,
                ),
                Panel(
                    title="Recovery",
                    description="Jobs that the sweep emitted again, that were redriven, and that were retracted.",
                    queries=(
                        rate(m.JOBS_EMITTED_AGAIN, legend="emitted again"),
                        rate(m.JOBS_REDRIVEN, legend="redriven"),
                        rate(m.JOBS_RETRACTED, legend="retracted"),
                    ),
                    unit=Unit.PER_S,
                ),
                Panel(
                    title="Results",
                    description="Bytes per second, by format.",
                    queries=(rate(m.RESULT_SIZE, "format"),),
                    unit=Unit.BYTES_PER_S,
                    stacked=True,
                ),
                Panel(
                    title="Stored per hour",
                    description="Bytes that jobs add: originals that came with their requests, and results.",
                    queries=(Query(expression=f"{stored_record('1h')} * 3600", legend="bytes per hour"),),
                    unit=Unit.BYTES,
                ),
                Panel(
                    title="Storage",
                    description="Local runtime: size of the S3 server's folder.",
                    queries=(now(m.STORAGE_SIZE, legend="stored"),),
                    unit=Unit.BYTES,
                ),
                Panel(
                    title="Job store",
                    description="Cluster only: Redis' memory, as a share of its maxmemory. Above 85 % it refuses jobs.",
                    queries=(
                        recorded(STORE_USED, legend="Redis"),
                        Query(expression=f"predict_linear({STORE_USED}[1h], 3600)", legend="in an hour, by its growth"),
                    ),
                    unit=Unit.SHARE,
                    bad_above=0.8,
                    at_most=1,
                ),
                Panel(
                    title="Volumes",
                    description="Cluster only: what Redis, NATS and the storage use of their volumes.",
                    queries=(recorded(VOLUMES_USED, legend="{{persistentvolumeclaim}}"),),
                    unit=Unit.SHARE,
                    bad_above=0.8,
                    at_most=1,
                ),
                Panel(
                    title="Balance",
                    description="Change of the number of unfinished jobs in five minutes: above 0 they pile up.",
                    queries=(
                        Query(
                            expression="delta(darkroom:jobs_unfinished:sum[5m])",
                            legend="jobs",
                        ),
                    ),
                    may_be_negative=True,
                ),
            ),
        ),
    ),
)
