"""The performance dashboard: stages, renders, the autoscaler and its cold starts, CPU time and memory."""

from __future__ import annotations

from tools import catalog as m
from tools.monitoring.dashboards.panels import Dashboard, Panel, Query, Row, Unit
from tools.monitoring.dashboards.queries import mean, now, quantiles, rate, recorded

PERFORMANCE = Dashboard(
    uid="darkroom-performance",
    title="Darkroom / Performance",
    description="How fast it is, and what it takes.",
    rows=(
        Row(
            title="A job's time",
            panels=(
                Panel(
                    title="Stages, on average",
                    description="Stacked: together they are a job's time, less the reply and the record.",
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
                    description="The slowest twentieth. A waiting client's answer takes as long as it waits.",
                    queries=quantiles(m.HTTP_SERVER_REQUEST_DURATION, "http_request_method", "http_route", of=(0.95,)),
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
                    description="And those that start.",
                    queries=(
                        recorded("darkroom:instances:ready", legend="{{service}}"),
                        recorded("darkroom:instances:starting", legend="{{service}}, starting"),
                    ),
                ),
                Panel(
                    title="Instances draining",
                    description="They end what they have and take nothing new.",
                    queries=(recorded("darkroom:instances:draining", legend="{{service}}"),),
                ),
                Panel(
                    title="Utilisation",
                    description="Local runtime: requests in flight of those that the ready instances take at once.",
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
                    title="Panic mode, and no more to be had",
                    description="Panics: the last seconds want twice of what there is. At its limit: max-scale.",
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
                    title="Against the last three days",
                    description="Half as much again is a regression.",
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
            title="What it takes",
            panels=(
                Panel(
                    title="Processor",
                    description="Cores in use, by process. Local runtime; a cluster has the kubelet's metrics.",
                    queries=(rate(m.PROCESS_CPU_TIME, "process"),),
                    unit=Unit.CORES,
                    stacked=True,
                ),
                Panel(
                    title="Processor time for each job",
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
                    description="Bytes a second, by format.",
                    queries=(rate(m.RESULT_SIZE, "format"),),
                    unit=Unit.BYTES_PER_S,
                ),
            ),
        ),
    ),
)
