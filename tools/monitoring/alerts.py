"""The alerts: when a person should look, and how soon. What to do then is in docs/operations.md, one heading per alert.

The objective's three are the multi-window burn rates of the SRE Workbook (chapter 5, "Alerting on SLOs"): 14.4 times
the allowed rate spends 2 % of a month's budget in an hour, 6 times spends 5 % in six hours, once spends 10 % in three
days. The short window beside each lets the alert end soon after the cause has.
"""

from __future__ import annotations

from darkroom.adapters.jobs.admission import MAX_MEMORY_SHARE
from darkroom.contract.metrics import OBJECTIVE_RATIO, OBJECTIVE_WITHIN_S
from tools.monitoring.records import DRAIN_TIME, REFUSED, STORE_USED, VOLUMES_USED, objective_record, stored_record
from tools.monitoring.rules import Alert, Group, Severity

_BUDGET = 1 - OBJECTIVE_RATIO


def _burn(name: str, *, rate: float, long: str, short: str, severity: Severity) -> Alert:
    limit = f"{rate * _BUDGET:.6g}"
    return Alert(
        name=name,
        expression=f"{objective_record(long)} > {limit} and {objective_record(short)} > {limit}",
        lasting="0s",
        severity=severity,
        summary=f"The objective's budget is spent {rate:g} times as fast as it lasts",
        description=(
            f"{{{{ $value | humanizePercentage }}}} of the standard jobs of the last {long} were not done within "
            f"{OBJECTIVE_WITHIN_S:g} s; the objective allows {_BUDGET:.1%}, this alert {rate * _BUDGET:.1%}."
        ),
    )


OBJECTIVE_ALERTS = Group(
    name="darkroom-objective-alerts",
    rules=(
        _burn("DarkroomObjectiveBurnsFast", rate=14.4, long="1h", short="5m", severity=Severity.PAGE),
        _burn("DarkroomObjectiveBurns", rate=6, long="6h", short="30m", severity=Severity.PAGE),
        _burn("DarkroomObjectiveBurnsSlowly", rate=1, long="3d", short="6h", severity=Severity.TICKET),
    ),
)

JOB_ALERTS = Group(
    name="darkroom-job-alerts",
    rules=(
        Alert(
            name="DarkroomJobsOverdue",
            # Not one that waits in its lane: that is its key's backlog, and others have alerts for it.
            expression=(
                "max($JOBS_OLDEST_UNFINISHED_AGE) > 900"
                " and max($JOBS_OLDEST_UNFINISHED_AGE) - (max($LANE_OLDEST_WAIT) or vector(0)) > 60"
            ),
            lasting="1m",
            severity=Severity.PAGE,
            summary="A job has been unfinished for a quarter of an hour",
            description=(
                "The oldest unfinished job was accepted {{ $value | humanizeDuration }} ago. Three attempts of two "
                "minutes, their backoff and the sweep fit into 15: it waits for an instance, or the sweep does not run."
            ),
        ),
        Alert(
            name="DarkroomOutboxStuck",
            expression="max($JOBS_OUTBOX) > 0",
            lasting="3m",
            severity=Severity.PAGE,
            summary="Accepted jobs cannot be handed to the Broker",
            description=(
                "{{ $value }} accepted jobs wait for the Broker to take their event; the sweep tries every 15 s. "
                "Nothing is lost, but no job makes progress."
            ),
        ),
        Alert(
            name="DarkroomDeadLettersGrow",
            expression="delta($DEAD_LETTERS[30m]) >= 1",
            lasting="0s",
            severity=Severity.TICKET,
            summary="Jobs were given up and kept with the dead letters",
            description="About {{ $value | humanize }} dead letters more than half an hour ago.",
        ),
        Alert(
            name="DarkroomGivenUpNotKept",
            expression="max($JOBS_GIVEN_UP) > 0",
            lasting="10m",
            severity=Severity.TICKET,
            summary="Jobs that were given up cannot be kept with the dead letters",
            description="{{ $value }} failed jobs wait in the job record for the dead-letter stream to take them.",
        ),
        Alert(
            name="DarkroomWebhooksOwed",
            expression="max($WEBHOOKS_OLDEST_OWED_AGE) > 21600",
            lasting="5m",
            severity=Severity.TICKET,
            summary="A webhook has been owed for six hours",
            description=(
                "The longest owed webhook has been tried for {{ $value | humanizeDuration }}. After 28 hours "
                "it is a dead letter."
            ),
        ),
        Alert(
            name="DarkroomJobsFail",
            # At least ten jobs: one picture in three is not a trend.
            expression=(
                "darkroom:jobs_failed:ratio_rate15m > 0.1"
                ' and sum by (error_type) (increase($JOBS_ENDED{status="failed"}[15m])) > 10'
            ),
            lasting="5m",
            severity=Severity.TICKET,
            summary="Many jobs fail with {{ $labels.error_type }}",
            description="{{ $value | humanizePercentage }} of the jobs of the last 15 minutes failed with this code.",
        ),
        Alert(
            name="DarkroomDeliveriesRepeat",
            expression=(
                "darkroom:deliveries_retried:ratio_rate15m > 0.2 or darkroom:attempts_per_job:ratio_rate15m > 1.5"
            ),
            lasting="10m",
            severity=Severity.TICKET,
            summary="Events are delivered, or jobs attempted, repeatedly",
            description=(
                "{{ $value | humanize }}: above 1 it is the attempts per ended job, below 1 the share of "
                "repeated deliveries."
            ),
        ),
        Alert(
            name="DarkroomDeliveriesLost",
            expression='sum by (trigger) (increase($DELIVERIES{outcome="lost"}[15m])) > 0',
            lasting="0s",
            severity=Severity.TICKET,
            summary="The function behind {{ $labels.trigger }} answers events with 4xx",
            description=(
                "A JetStream channel drops such an event without a dead letter: about {{ $value | humanize }} in the "
                "last 15 minutes. The sweep finds their jobs."
            ),
        ),
    ),
)

QUEUE_ALERTS = Group(
    name="darkroom-queue-alerts",
    rules=(
        Alert(
            name="DarkroomLaneStands",
            expression=(
                "max by (type, cost_class) ($LANE_OLDEST_WAIT) > 600"
                " and sum by (type, cost_class) (increase($JOBS_ENDED[10m])) == 0"
            ),
            lasting="1m",
            severity=Severity.PAGE,
            summary="No {{ $labels.cost_class }} {{ $labels.type }} job ends, and others wait for room",
            description=(
                "Jobs wait for a place in the Trigger's window, the oldest for {{ $value | humanizeDuration }}. None "
                "of those that have one has ended in ten minutes."
            ),
        ),
        Alert(
            name="DarkroomTurnsLate",
            expression="max by (type, cost_class) ($LANE_OLDEST_WAIT) > 1800",
            lasting="5m",
            severity=Severity.TICKET,
            summary="A {{ $labels.cost_class }} {{ $labels.type }} job has waited for room for half an hour",
            description=(
                "The oldest has waited {{ $value | humanizeDuration }}: its key has submitted more than its turns "
                "allow, or all keys more than is rendered."
            ),
        ),
        Alert(
            name="DarkroomDrainTakesLong",
            expression=f"{DRAIN_TIME} > 3600",
            lasting="10m",
            severity=Severity.TICKET,
            summary="The backlog takes more than an hour",
            description="{{ $value | humanizeDuration }} at the rate at which jobs ended in the last five minutes.",
        ),
        Alert(
            name="DarkroomBacklogFull",
            expression='sum(increase($JOBS_REFUSED{limit="backlog"}[5m])) > 0',
            lasting="2m",
            severity=Severity.PAGE,
            summary="No new jobs are accepted from anybody",
            description=(
                "About {{ $value | humanize }} were refused in the last five minutes, since the backlog is at "
                "MAX_BACKLOG or the job store is full."
            ),
        ),
        Alert(
            name="DarkroomQuotaRefuses",
            expression=f'{REFUSED}{{limit="quota"}} > 0.1',
            lasting="30m",
            severity=Severity.TICKET,
            summary="Keys at their quota are refused many jobs",
            description="{{ $value | humanizePercentage }} of the jobs that were asked for in the last 15 minutes.",
        ),
        Alert(
            name="DarkroomStorageGrowsFaster",
            # At least 1 MB/s: what a single client may do is no trend.
            expression=f"{stored_record('1h')} > 3 * {stored_record('3d')} and {stored_record('1h')} > 1e6",
            lasting="30m",
            severity=Severity.TICKET,
            summary="Storage grows three times as fast as in the last days",
            description="Jobs have stored {{ $value | humanize1024 }}B per second over the last hour.",
        ),
    ),
)

PLATFORM_ALERTS = Group(
    name="darkroom-platform-alerts",
    rules=(
        Alert(
            name="DarkroomMetricsMissing",
            expression="absent($JOBS_OUTBOX)",
            lasting="3m",
            severity=Severity.PAGE,
            summary="Metrics of the job record are missing",
            description=(
                "No metric of the job record has arrived: the sweep does not run, Redis does not answer, or the "
                "collector is down. Until then, no other alert about jobs can fire."
            ),
        ),
        Alert(
            name="DarkroomNatsUnhealthy",
            # Or: the job record's metrics arrive, and those of JetStream's streams do not. Recovery cannot reach it.
            expression=(
                'darkroom:server:up{server="nats"} < 1 or (absent($DEAD_LETTERS) and on () (count($JOBS_OUTBOX) > 0))'
            ),
            lasting="2m",
            severity=Severity.PAGE,
            summary="NATS does not answer, or is unhealthy",
            description="Accepted jobs wait in their outbox until it does.",
        ),
        Alert(
            name="DarkroomServerDown",
            expression='darkroom:server:up{server!="nats"} < 1',
            lasting="1m",
            severity=Severity.PAGE,
            summary="{{ $labels.server }} does not answer",
            description="Nothing is accepted without it; accepted jobs are done when it is back.",
        ),
        Alert(
            name="DarkroomServerRestarts",
            expression="sum by (server) (increase($SERVER_RESTARTS[15m])) > 2",
            lasting="0s",
            severity=Severity.TICKET,
            summary="{{ $labels.server }} restarts repeatedly",
            description="About {{ $value | humanize }} times in the last 15 minutes.",
        ),
        Alert(
            name="DarkroomStreamNearlyFull",
            expression="darkroom:stream_used:ratio > 0.8",
            lasting="5m",
            severity=Severity.PAGE,
            summary="The stream {{ $labels.stream }} is nearly full",
            description=(
                "{{ $value | humanizePercentage }} of its limit. A full stream refuses events; the outbox holds them."
            ),
        ),
        Alert(
            name="DarkroomStoreNearlyFull",
            # By its growth, an hour before it refuses jobs, if it takes more than an hour and a half to fill. In 4500 s
            # are that hour and what the alert itself takes. Not for a store that has just begun to fill.
            expression=(
                f"{STORE_USED} > 0.8 or ({STORE_USED} > 0.25"
                f" and predict_linear({STORE_USED}[1h], 4500) > {MAX_MEMORY_SHARE})"
            ),
            lasting="5m",
            severity=Severity.PAGE,
            summary="The job store is nearly full",
            description=(
                "Redis uses {{ $value | humanizePercentage }} of its maxmemory. Above "
                f"{MAX_MEMORY_SHARE:.0%} it takes no new jobs; those that were accepted stay."
            ),
        ),
        Alert(
            name="DarkroomVolumeNearlyFull",
            expression=f"{VOLUMES_USED} > 0.8",
            lasting="10m",
            severity=Severity.PAGE,
            summary="The volume {{ $labels.persistentvolumeclaim }} is nearly full",
            description=(
                "{{ $value | humanizePercentage }} of it in the namespace {{ $labels.namespace }}. A full volume of "
                "Redis, NATS or the storage refuses new jobs."
            ),
        ),
        Alert(
            name="DarkroomAtScaleLimit",
            expression=(
                "darkroom:service:at_limit == 1 and on ()"
                " (deriv(darkroom:jobs_unfinished:sum[15m]) > 0 and darkroom:jobs_unfinished:sum > 50)"
            ),
            lasting="10m",
            severity=Severity.TICKET,
            summary="{{ $labels.service }} is at its max-scale, and the backlog grows",
            description="More instances would be used than max-scale allows; jobs arrive faster than they are done.",
        ),
        Alert(
            name="DarkroomColdStartsSlower",
            expression=(
                "darkroom:cold_start:mean1h > 1.5 * darkroom:cold_start:mean3d"
                " and sum by (service) (increase(${COLD_START_DURATION}_count[1h])) > 5"
            ),
            lasting="15m",
            severity=Severity.TICKET,
            summary="{{ $labels.service }} starts slower than before",
            description="{{ $value | humanizeDuration }} on average in the last hour, over 1.5 times that of 3 days.",
        ),
        Alert(
            name="DarkroomApiErrors",
            expression="darkroom:api_errors:ratio_rate5m > 0.05",
            lasting="5m",
            severity=Severity.PAGE,
            summary="The API answers with 5xx",
            description="{{ $value | humanizePercentage }} of the responses of the last 5 minutes.",
        ),
    ),
)

GROUPS = (OBJECTIVE_ALERTS, JOB_ALERTS, QUEUE_ALERTS, PLATFORM_ALERTS)
ALERTS = tuple(rule for group in GROUPS for rule in group.rules if isinstance(rule, Alert))
