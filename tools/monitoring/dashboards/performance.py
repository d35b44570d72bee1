"""The performance dashboard: stages, renders, the autoscaler and its cold starts, CPU time and memory."""

from __future__ import annotations

from tools import catalog as m
from tools.monitoring.dashboards.panels import Dashboard, Panel, Query, Row, Unit
from tools.monitoring.dashboards.queries import mean, now, quantiles, rate, recorded
from tools.monitoring.records import OURS

PERFORMANCE = Dashboard(
    uid="darkroom-performance",
    title="Darkroom / Performance",
    description="Times, and the resources they cost.",
    rows=(
        Row(
            title="Job times",
            panels=(
                Panel(
                    title="Mean stage times",
                    description="Stacked: the sum is a job's time without the reply and the record.",
                    queries=(mean(m.JOB_STAGE_DURATION, "stage"),),
                    unit=Unit.SECONDS,
                    stacked=True,
                ),
                Panel(
                    title="Render, by format of the result",
                    description="AVIF takes many times as long as JPEG.",
                    queries=quantiles(m.RENDER_DURATION, "format", of=(0.5, 0.95)),
                    unit=Unit.SECONDS,
                ),
                Panel(
                    title="API, by route",
                    description="95th percentile. A waiting client's response takes as long as it waits.",
                    queries=quantiles(
                        m.HTTP_SERVER_REQUEST_DURATION,
                        "http_request_method",
                        "http_route",
                        of=(0.95,),
                        matching=OURS,
                    ),
                    unit=Unit.SECONDS,
                ),
            ),
        ),
        Row(
            title="The autoscaler",
            panels=(
                Panel(
                    title="Instances wanted",
                    description="After min-scale and max-scale.",
                    queries=(recorded("darkroom:instances:wanted", legend="{{service}}"),),
                ),
                Panel(
                    title="Instances ready",
                    description="And starting ones.",
                    queries=(
                        recorded("darkroom:instances:ready", legend="{{service}}"),
                        recorded("darkroom:instances:starting", legend="{{service}}, starting"),
                    ),
                ),
                Panel(
                    title="Instances draining",
                    description="They finish their requests and accept no new ones.",
                    queries=(recorded("darkroom:instances:draining", legend="{{service}}"),),
                ),
                Panel(
                    title="Utilisation",
                    description="Local runtime: requests in flight as a share of the ready instances' capacity.",
                    queries=(
                        Query(
                            expression=(
                                f"{now(m.REQUESTS_IN_FLIGHT, 'service').expression}"
                                f" / ({now(m.INSTANCES_CAPACITY, 'service').expression} > 0)"
                            ),
                            legend="{{service}}",
                        ),
                    ),
                    unit=Unit.SHARE,
                ),
                Panel(
                    title="Waiting in the activator",
                    description="Requests that wait for an instance.",
                    queries=(recorded("darkroom:activator:waiting", legend="{{service}}"),),
                ),
                Panel(
                    title="Panic mode, and at the limit",
                    description="Panic: the last seconds require twice the ready instances. Limit: max-scale.",
                    queries=(
                        recorded("darkroom:autoscaler:panicking", legend="{{service}} panics"),
                        recorded("darkroom:service:at_limit", legend="{{service}} at its limit"),
                    ),
                    at_most=1.2,
                ),
            ),
        ),
        Row(
            title="Cold starts",
            panels=(
                Panel(
                    title="Cold starts",
                    description="Local runtime.",
                    queries=(
                        Query(
                            expression=f"sum by (service) (increase({m.COLD_STARTS.prometheus_name}[5m]))",
                            legend="{{service}}, in 5 minutes",
                        ),
                    ),
                ),
                Panel(
                    title="From spawn to ready",
                    description="Local runtime.",
                    queries=quantiles(m.COLD_START_DURATION, of=(0.5, 0.95)),
                    unit=Unit.SECONDS,
                ),
                Panel(
                    title="Relative to the last three days",
                    description="1.5 is a regression.",
                    queries=(
                        Query(
                            expression="darkroom:cold_start:mean1h / darkroom:cold_start:mean3d",
                            legend="{{service}}",
                        ),
                    ),
                    bad_above=1.5,
                ),
            ),
        ),
        Row(
            title="Resources",
            panels=(
                Panel(
                    title="CPU",
                    description="Cores in use, by process. Local runtime; a cluster has the kubelet's metrics.",
                    queries=(rate(m.PROCESS_CPU_TIME, "process"),),
                    unit=Unit.CORES,
                    stacked=True,
                ),
                Panel(
                    title="CPU time per job",
                    description="All processes together, servers included.",
                    queries=(
                        Query(
                            expression=(
                                f"{rate(m.PROCESS_CPU_TIME).expression} / ({rate(m.JOBS_ENDED).expression} > 0)"
                            ),
                            legend="a job",
                        ),
                    ),
                    unit=Unit.SECONDS,
                ),
                Panel(
                    title="Memory",
                    description="Resident, by process.",
                    queries=(now(m.PROCESS_MEMORY_USAGE, "process"),),
                    unit=Unit.BYTES,
                    stacked=True,
                ),
                Panel(
                    title="Results",
                    description="Bytes per second, by format.",
                    queries=(rate(m.RESULT_SIZE, "format"),),
                    unit=Unit.BYTES_PER_S,
                ),
            ),
        ),
    ),
)
