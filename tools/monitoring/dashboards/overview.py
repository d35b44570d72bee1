"""The overview dashboard: is the objective met, what waits, does every part run. One screen, for the person on call."""

from __future__ import annotations

from tools import catalog as m
from tools.monitoring.dashboards.panels import Dashboard, Kind, Panel, Query, Row, Unit
from tools.monitoring.dashboards.queries import now, quantiles, rate, recorded
from tools.monitoring.records import objective_record

OVERVIEW = Dashboard(
    uid="darkroom-overview",
    title="Darkroom / System overview",
    description="Is the objective held, what waits, does every part run.",
    rows=(
        Row(
            title="Is it well?",
            panels=(
                Panel(
                    title="Within the objective, last hour",
                    description=(
                        f"Share of the standard jobs that were done within {m.OBJECTIVE_WITHIN_S:g} s; "
                        f"the objective is {m.OBJECTIVE_RATIO:.1%}."
                    ),
                    queries=(Query(expression=f"1 - {objective_record('1h')}"),),
                    unit=Unit.SHARE,
                    kind=Kind.NUMBER,
                    width=4,
                    height=5,
                    bad_below=m.OBJECTIVE_RATIO,
                ),
                Panel(
                    title="Of three days' budget left",
                    description="1 is an untouched budget, 0 and less a broken objective.",
                    queries=(Query(expression=f"1 - {objective_record('3d')} / {1 - m.OBJECTIVE_RATIO:.6g}"),),
                    unit=Unit.SHARE,
                    kind=Kind.NUMBER,
                    width=4,
                    height=5,
                    bad_below=0.25,
                ),
                Panel(
                    title="Jobs unfinished",
                    description="Queued or in work.",
                    queries=(recorded("darkroom:jobs_unfinished:sum"),),
                    kind=Kind.NUMBER,
                    width=4,
                    height=5,
                ),
                Panel(
                    title="Oldest unfinished job",
                    description="Bad above a quarter of an hour.",
                    queries=(now(m.JOBS_OLDEST_UNFINISHED_AGE, aggregate="max"),),
                    unit=Unit.SECONDS,
                    kind=Kind.NUMBER,
                    width=4,
                    height=5,
                    bad_above=900,
                ),
                Panel(
                    title="Dead letters",
                    description="Jobs that were given up and wait for a person.",
                    queries=(now(m.DEAD_LETTERS, aggregate="max"),),
                    kind=Kind.NUMBER,
                    width=4,
                    height=5,
                    bad_above=1,
                ),
                Panel(
                    title="In the outbox",
                    description="Accepted, and the Broker did not take them.",
                    queries=(now(m.JOBS_OUTBOX, aggregate="max"),),
                    kind=Kind.NUMBER,
                    width=4,
                    height=5,
                    bad_above=1,
                ),
                Panel(
                    title="Alerts",
                    description="What fires now; docs/operations.md says what to do for each.",
                    queries=(Query(expression='ALERTS{alertname=~"Darkroom.*", alertstate="firing"}'),),
                    kind=Kind.TABLE,
                    width=12,
                    height=6,
                ),
                Panel(
                    title="Servers",
                    description="1 is up. On a cluster: NATS, as the collector sees it.",
                    queries=(recorded("darkroom:server:up", legend="{{server}}"),),
                    kind=Kind.NUMBER,
                    unit=Unit.YES_OR_NO,
                    width=12,
                    height=6,
                    bad_below=1,
                ),
            ),
        ),
        Row(
            title="What comes and goes",
            panels=(
                Panel(
                    title="Jobs",
                    description="Accepted, and ended by status, a second.",
                    queries=(
                        rate(m.JOBS_ACCEPTED, legend="accepted"),
                        rate(m.JOBS_ENDED, "status"),
                    ),
                    unit=Unit.PER_S,
                ),
                Panel(
                    title="From acceptance to end",
                    description="Of the jobs that ended; the objective is about 10 s.",
                    queries=quantiles(m.JOB_DURATION),
                    unit=Unit.SECONDS,
                    bad_above=m.OBJECTIVE_WITHIN_S,
                ),
                Panel(
                    title="Unfinished jobs",
                    description="A queue that only grows: more comes than is done.",
                    queries=(now(m.JOBS_UNFINISHED, "status"),),
                    stacked=True,
                ),
            ),
        ),
        Row(
            title="What runs",
            panels=(
                Panel(
                    title="Ready instances",
                    description="By Service.",
                    queries=(recorded("darkroom:instances:ready", legend="{{service}}"),),
                    stacked=True,
                ),
                Panel(
                    title="API requests",
                    description="By the answer's status.",
                    queries=(rate(m.HTTP_SERVER_REQUEST_DURATION, "http_response_status_code", sample="_count"),),
                    unit=Unit.PER_S,
                    stacked=True,
                ),
                Panel(
                    title="Memory",
                    description="Resident, by process. Local runtime; a cluster has the kubelet's metrics.",
                    queries=(now(m.PROCESS_MEMORY_USAGE, "process"),),
                    unit=Unit.BYTES,
                    stacked=True,
                ),
            ),
        ),
    ),
)
