"""The overview dashboard: is the objective met, what waits, does every part run. One screen, for the person on call."""

from __future__ import annotations

from tools import catalog as m
from tools.monitoring.dashboards.panels import Dashboard, Panel, PanelKind, Query, Row, Unit
from tools.monitoring.dashboards.queries import now, quantiles, rate, recorded
from tools.monitoring.records import OURS, objective_record

OVERVIEW = Dashboard(
    uid="darkroom-overview",
    title="Darkroom / System overview",
    description="Is the objective met, what waits, does every part run.",
    rows=(
        Row(
            title="Health",
            panels=(
                Panel(
                    title="Within the objective, last hour",
                    description=(
                        f"Share of the standard jobs that were done within {m.OBJECTIVE_WITHIN_S:g} s; "
                        f"the objective is {m.OBJECTIVE_RATIO:.1%}."
                    ),
                    queries=(Query(expression=f"1 - {objective_record('1h')}"),),
                    unit=Unit.SHARE,
                    kind=PanelKind.NUMBER,
                    width=4,
                    height=5,
                    bad_below=m.OBJECTIVE_RATIO,
                ),
                Panel(
                    title="Error budget left, three days",
                    description="1 is an untouched budget; 0 or less is a missed objective.",
                    queries=(Query(expression=f"1 - {objective_record('3d')} / {1 - m.OBJECTIVE_RATIO:.6g}"),),
                    unit=Unit.SHARE,
                    kind=PanelKind.NUMBER,
                    width=4,
                    height=5,
                    bad_below=0.25,
                ),
                Panel(
                    title="Jobs unfinished",
                    description="Queued or processing.",
                    queries=(recorded("darkroom:jobs_unfinished:sum"),),
                    kind=PanelKind.NUMBER,
                    width=4,
                    height=5,
                ),
                Panel(
                    title="Oldest unfinished job",
                    description="Bad above a quarter of an hour.",
                    queries=(now(m.JOBS_OLDEST_UNFINISHED_AGE, aggregate="max"),),
                    unit=Unit.SECONDS,
                    kind=PanelKind.NUMBER,
                    width=4,
                    height=5,
                    bad_above=900,
                ),
                Panel(
                    title="Dead letters",
                    description="Jobs that were given up and wait for an operator.",
                    queries=(now(m.DEAD_LETTERS, aggregate="max"),),
                    kind=PanelKind.NUMBER,
                    width=4,
                    height=5,
                    bad_above=1,
                ),
                Panel(
                    title="In the outbox",
                    description="Accepted, but the Broker did not take their events.",
                    queries=(now(m.JOBS_OUTBOX, aggregate="max"),),
                    kind=PanelKind.NUMBER,
                    width=4,
                    height=5,
                    bad_above=1,
                ),
                Panel(
                    title="Alerts",
                    description="Firing alerts; docs/operations.md says what to do for each.",
                    queries=(Query(expression='ALERTS{alertname=~"Darkroom.*", alertstate="firing"}'),),
                    kind=PanelKind.TABLE,
                    width=12,
                    height=6,
                ),
                Panel(
                    title="Servers",
                    description="1 is up. On a cluster: NATS, as the collector sees it.",
                    queries=(recorded("darkroom:server:up", legend="{{server}}"),),
                    kind=PanelKind.NUMBER,
                    unit=Unit.YES_OR_NO,
                    width=12,
                    height=6,
                    bad_below=1,
                ),
            ),
        ),
        Row(
            title="Traffic",
            panels=(
                Panel(
                    title="Jobs",
                    description="Accepted, and ended by status, per second.",
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
                    description="If it only grows, jobs arrive faster than they are done.",
                    queries=(now(m.JOBS_UNFINISHED, "status"),),
                    stacked=True,
                ),
            ),
        ),
        Row(
            title="Instances and memory",
            panels=(
                Panel(
                    title="Ready instances",
                    description="By Service.",
                    queries=(recorded("darkroom:instances:ready", legend="{{service}}"),),
                    stacked=True,
                ),
                Panel(
                    title="API requests",
                    description="By response status.",
                    queries=(
                        rate(
                            m.HTTP_SERVER_REQUEST_DURATION,
                            "http_response_status_code",
                            sample="_count",
                            matching=OURS,
                        ),
                    ),
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
