"""Recording rules: expressions that are used often or in several places, under one name.

There are two kinds. `darkroom:instances:*` and the like give one name to metrics that the local runtime and Knative
name differently, so that dashboards and alerts are the same for both. The others are ratios and means over a window.

Knative's names were seen on a cluster with Serving of August 2026: those of the pods and of the panic mode at the
autoscaler, kn_revision_request_queued at the activator, with kn_service_name and k8s_namespace_name on each. Knative
counts no cold starts. Its activator and queue-proxy report http_server_request_duration_seconds as our functions do,
but without an http_route, so rules that read that metric must require one.

The collector reads Redis' metrics. The kubelet reports those of the volumes, and every Prometheus for Kubernetes
scrapes it. The size of the Broker's own stream is measured on one machine only: on a cluster it is in an account of
NATS that our components cannot read, and the alert for the servers' volumes covers it.

Metrics of the job record are pushed by whichever recovery instance the sweep woke, without the instance's name, so that
there is one series and a sum counts nothing twice.
"""

from __future__ import annotations

from tools.monitoring.rules import Group, Record

WINDOWS = ("5m", "30m", "1h", "6h", "3d")
NAMESPACE = "darkroom"
HTTPCHECK = "httpcheck_status"
"""The collector's own check of NATS; the only metric here that is neither ours nor Knative's."""
KNATIVE_METRICS = frozenset(
    {
        "kn_revision_pods_desired",
        "kn_revision_pods_requested",
        "kn_revision_pods_count",
        "kn_revision_pods_not_ready_count",
        "kn_revision_pods_pending_count",
        "kn_revision_pods_terminating_count",
        "kn_revision_panic_mode",
        "kn_revision_request_queued",
    }
)
REDIS_USED, REDIS_LIMIT = "redis_memory_used_bytes", "redis_maxmemory_bytes"
VOLUME_USED, VOLUME_SIZE = "kubelet_volume_stats_used_bytes", "kubelet_volume_stats_capacity_bytes"
CLUSTER_METRICS = KNATIVE_METRICS | {REDIS_USED, REDIS_LIMIT, VOLUME_USED, VOLUME_SIZE, HTTPCHECK}
"""What only a cluster measures."""
DRAIN_TIME, REFUSED = "darkroom:backlog:drain_seconds", "darkroom:jobs_refused:ratio_rate15m"
STORE_USED, VOLUMES_USED = "darkroom:store_used:ratio", "darkroom:volume_used:ratio"
CLUSTER_RECORDS = frozenset({STORE_USED, VOLUMES_USED})
"""Recording rules that only a cluster has data for."""
OURS = '{http_route!=""}'
"""Requests that our functions answered, and not those that Knative's activator and queue-proxy passed on."""
_VOLUMES = '{namespace=~"darkroom|nats-io"}'


def objective_record(window: str) -> str:
    return f"darkroom:objective_bad:ratio_rate{window}"


def stored_record(window: str) -> str:
    return f"darkroom:stored_bytes:rate{window}"


def _objective(window: str) -> Record:
    # Without a bad job this series does not exist; without any job there is no ratio.
    return Record(
        name=objective_record(window),
        expression=(
            f'(sum(rate($OBJECTIVE_JOBS{{good="false"}}[{window}])) or vector(0))'
            f" / (sum(rate($OBJECTIVE_JOBS[{window}])) > 0)"
        ),
    )


def _knative(metric: str, *, aggregate: str = "sum") -> str:
    """Select by service, in our namespace, under the label that the local runtime uses."""
    ours = f'{metric}{{k8s_namespace_name="{NAMESPACE}"}}'
    return f'{aggregate} by (service) (label_replace({ours}, "service", "$$1", "kn_service_name", "(.+)"))'


def _instances(state: str, *knative: str) -> Record:
    local = f'sum by (service) ($INSTANCES{{state="{state}"}})'
    return Record(name=f"darkroom:instances:{state}", expression=f"{local} or {' + '.join(map(_knative, knative))}")


ONE_NAME = Group(
    name="darkroom-one-name-for-both",
    rules=(
        # After max-scale and min-scale: what the autoscaler requests.
        _instances("wanted", "kn_revision_pods_requested"),
        _instances("ready", "kn_revision_pods_count"),
        _instances("starting", "kn_revision_pods_not_ready_count", "kn_revision_pods_pending_count"),
        _instances("draining", "kn_revision_pods_terminating_count"),
        Record(
            name="darkroom:activator:waiting",
            expression=("sum by (service) ($ACTIVATOR_WAITING) or " + _knative("kn_revision_request_queued")),
        ),
        Record(
            name="darkroom:autoscaler:panicking",
            expression=(
                "max by (service) ($AUTOSCALER_PANICKING) or " + _knative("kn_revision_panic_mode", aggregate="max")
            ),
        ),
        # 1 where more would be used and no more will come. Locally: every place is taken, others wait, and no instance
        # is on its way. The autoscaler of a cluster reports what it wants before and after its bounds.
        Record(
            name="darkroom:service:at_limit",
            expression=(
                "("
                "(sum by (service) ($REQUESTS_IN_FLIGHT) >= bool sum by (service) ($INSTANCES_CAPACITY))"
                ' * (sum by (service) ($INSTANCES{state="ready"}) >= bool'
                ' sum by (service) ($INSTANCES{state="wanted"}))'
                " * (sum by (service) ($ACTIVATOR_WAITING) > bool 0)"
                ' * (sum by (service) ($INSTANCES{state="ready"}) > bool 0)'
                ") or ("
                + _knative("kn_revision_pods_desired")
                + " > bool "
                + _knative("kn_revision_pods_requested")
                + ")"
            ),
        ),
        # On a cluster, the collector asks NATS for its health.
        Record(
            name="darkroom:server:up",
            expression=(
                "min by (server) ($SERVER_UP) or "
                f'label_replace(max({HTTPCHECK}{{http_status_class="2xx"}}), "server", "nats", "", "")'
            ),
        ),
    ),
)

OBJECTIVE_RATIOS = Group(name="darkroom-objective", rules=tuple(_objective(window) for window in WINDOWS))

RATIOS = Group(
    name="darkroom-ratios",
    rules=(
        Record(name="darkroom:jobs_unfinished:sum", expression="sum($JOBS_UNFINISHED)"),
        Record(
            name="darkroom:jobs_failed:ratio_rate15m",
            expression=(
                'sum by (error_type) (rate($JOBS_ENDED{status="failed"}[15m]))'
                " / on () group_left () (sum(rate($JOBS_ENDED[15m])) > 0)"
            ),
        ),
        # Local only: the share of deliveries that had to be repeated.
        Record(
            name="darkroom:deliveries_retried:ratio_rate15m",
            expression=(
                '(sum(rate($DELIVERIES{outcome="retried"}[15m])) or vector(0)) / (sum(rate($DELIVERIES[15m])) > 0)'
            ),
        ),
        # The same from the job record, which a cluster has too: 1 is a job that took one attempt.
        Record(
            name="darkroom:attempts_per_job:ratio_rate15m",
            expression=("sum(rate($JOB_ATTEMPTS[15m])) / (sum(rate($JOBS_ENDED[15m])) > 0)"),
        ),
        Record(
            name="darkroom:stream_used:ratio",
            expression=("max by (stream) ($STREAM_SIZE) / (max by (stream) ($STREAM_LIMIT) > 0)"),
        ),
        # How long the backlog takes at the rate of the last minutes; none while nothing ends.
        Record(
            name=DRAIN_TIME,
            expression="darkroom:jobs_unfinished:sum / (sum(rate($JOBS_ENDED[5m])) > 0)",
        ),
        # What jobs add to the storage, per second: originals that came with their requests, and results.
        *(
            Record(
                name=stored_record(window),
                expression=f"sum(rate($ORIGINAL_SIZE[{window}])) + sum(rate($RESULT_SIZE[{window}]))",
            )
            for window in ("1h", "3d")
        ),
        # The share of the jobs asked for that a limit refused.
        Record(
            name=REFUSED,
            expression=(
                "sum by (limit) (rate($JOBS_REFUSED[15m]))"
                " / on () group_left () (sum(rate($JOBS_REFUSED[15m])) + sum(rate($JOBS_ACCEPTED[15m])) > 0)"
            ),
        ),
        Record(name=STORE_USED, expression=f"max({REDIS_USED}) / (max({REDIS_LIMIT}) > 0)"),
        Record(
            name=VOLUMES_USED,
            expression=(
                f"max by (namespace, persistentvolumeclaim) ({VOLUME_USED}{_VOLUMES})"
                f" / (max by (namespace, persistentvolumeclaim) ({VOLUME_SIZE}{_VOLUMES}) > 0)"
            ),
        ),
        *(
            Record(
                name=f"darkroom:cold_start:mean{window}",
                expression=(
                    f"sum by (service) (rate(${{COLD_START_DURATION}}_sum[{window}]))"
                    f" / (sum by (service) (rate(${{COLD_START_DURATION}}_count[{window}])) > 0)"
                ),
            )
            for window in ("1h", "3d")
        ),
        Record(
            name="darkroom:api_errors:ratio_rate5m",
            expression=(
                '(sum(rate(${HTTP_SERVER_REQUEST_DURATION}_count{http_route!="",http_response_status_code=~"5.."}[5m]))'
                f" or vector(0)) / (sum(rate(${{HTTP_SERVER_REQUEST_DURATION}}_count{OURS}[5m])) > 0)"
            ),
        ),
    ),
)

GROUPS = (ONE_NAME, OBJECTIVE_RATIOS, RATIOS)
NAMES = frozenset(rule.name for group in GROUPS for rule in group.rules if isinstance(rule, Record))
