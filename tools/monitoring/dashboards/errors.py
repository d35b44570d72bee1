"""The errors dashboard: what goes wrong, whose fault it is, how often it is retried, what was given up, and the
cost.
"""

from __future__ import annotations

from tools import catalog as m
from tools.monitoring.dashboards.panels import Dashboard, Panel, Row, Unit
from tools.monitoring.dashboards.queries import now, rate, recorded
from tools.monitoring.records import WINDOWS, objective_record

ERRORS = Dashboard(
    uid="darkroom-errors",
    title="Darkroom / Errors",
    description="What goes wrong, whose fault it is, and what it costs the objective.",
    rows=(
        Row(
            title="The objective",
            panels=(
                Panel(
                    title="Jobs outside the objective, by window",
                    description=f"The objective allows {1 - m.OBJECTIVE_RATIO:.1%}.",
                    queries=tuple(recorded(objective_record(window), legend=window) for window in WINDOWS),
                    unit=Unit.SHARE,
                    width=12,
                    bad_above=round(1 - m.OBJECTIVE_RATIO, 6),
                ),
                Panel(
                    title="Standard jobs",
                    description="Good: within the objective. Failures caused by the client count as good.",
                    queries=(rate(m.OBJECTIVE_JOBS, "good", legend="good: {{good}}"),),
                    unit=Unit.PER_S,
                    width=12,
                ),
            ),
        ),
        Row(
            title="Jobs that failed",
            panels=(
                Panel(
                    title="Failed, by code",
                    description="image.* and parameters.* are the client's, dependency.* is ours.",
                    queries=(rate(m.JOBS_ENDED, "error_type", matching='{status="failed"}'),),
                    unit=Unit.PER_S,
                    stacked=True,
                ),
                Panel(
                    title="Share of the jobs that failed, by code",
                    description="Over 15 minutes.",
                    queries=(recorded("darkroom:jobs_failed:ratio_rate15m", legend="{{error_type}}"),),
                    unit=Unit.SHARE,
                    bad_above=0.1,
                ),
                Panel(
                    title="Attempts that failed, by code",
                    description="Including attempts that a successful one followed.",
                    queries=(rate(m.JOB_ATTEMPTS, "error_type", matching='{error_type!=""}'),),
                    unit=Unit.PER_S,
                    stacked=True,
                ),
            ),
        ),
        Row(
            title="Events that were not accepted",
            panels=(
                Panel(
                    title="Deliveries that failed, by Trigger",
                    description="Local runtime. Lost: answered with 4xx, which a JetStream channel drops.",
                    queries=(rate(m.DELIVERIES, "trigger", "outcome", matching='{outcome!="delivered"}'),),
                    unit=Unit.PER_S,
                ),
                Panel(
                    title="Share of repeated deliveries",
                    description="Local runtime, over 15 minutes.",
                    queries=(recorded("darkroom:deliveries_retried:ratio_rate15m", legend="retried"),),
                    unit=Unit.SHARE,
                    bad_above=0.2,
                ),
                Panel(
                    title="Dead letters",
                    description="And given-up jobs that the stream does not have yet.",
                    queries=(
                        now(m.DEAD_LETTERS, aggregate="max", legend="dead letters"),
                        now(m.JOBS_GIVEN_UP, aggregate="max", legend="given up, not kept"),
                    ),
                ),
            ),
        ),
        Row(
            title="Webhooks",
            panels=(
                Panel(
                    title="Webhooks owed",
                    description="Endpoints have not taken them yet; they are still tried.",
                    queries=(now(m.WEBHOOKS_OWED, aggregate="max", legend="owed"),),
                ),
                Panel(
                    title="Age of the longest owed webhook",
                    description="It is tried for 28 hours by default.",
                    queries=(now(m.WEBHOOKS_OLDEST_OWED_AGE, aggregate="max", legend="oldest"),),
                    unit=Unit.SECONDS,
                    bad_above=21600,
                ),
                Panel(
                    title="Webhooks sent, failed and given up",
                    description="Failed tries by their reason. Those given up are with the dead letters.",
                    queries=(
                        rate(m.WEBHOOKS_SENT, legend="sent"),
                        rate(m.WEBHOOKS_FAILED, "reason", legend="{{reason}}"),
                        rate(m.WEBHOOKS_GIVEN_UP, legend="given up"),
                    ),
                    unit=Unit.PER_S,
                ),
            ),
        ),
        Row(
            title="The front door and the servers",
            panels=(
                Panel(
                    title="Error responses",
                    description="4xx: the client's. 503: a dependency is down, nothing was accepted.",
                    queries=(
                        rate(
                            m.HTTP_SERVER_REQUEST_DURATION,
                            "http_response_status_code",
                            sample="_count",
                            matching='{http_route!="",http_response_status_code=~"[45].."}',
                        ),
                    ),
                    unit=Unit.PER_S,
                    stacked=True,
                ),
                Panel(
                    title="Share of responses with 5xx",
                    description="Over five minutes.",
                    queries=(recorded("darkroom:api_errors:ratio_rate5m", legend="5xx"),),
                    unit=Unit.SHARE,
                    bad_above=0.05,
                ),
                Panel(
                    title="Servers that are up",
                    description="0 is down.",
                    queries=(recorded("darkroom:server:up", legend="{{server}}"),),
                    bad_below=1,
                    at_most=1.2,
                ),
                Panel(
                    title="Server restarts",
                    description="Local runtime: since it started.",
                    queries=(now(m.SERVER_RESTARTS, "server"),),
                ),
                Panel(
                    title="Sweep",
                    description="Jobs that recovery emitted again, because the Broker or a function lost them.",
                    queries=(rate(m.JOBS_EMITTED_AGAIN, "type"),),
                    unit=Unit.PER_S,
                ),
                Panel(
                    title="Outbox",
                    description="Above 0, the Broker accepts no events.",
                    queries=(now(m.JOBS_OUTBOX, aggregate="max", legend="outbox"),),
                ),
            ),
        ),
    ),
)
