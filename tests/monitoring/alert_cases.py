"""For each alert: what makes it fire, and what looks like it and must leave it silent. Series are in promtool's
notation, one sample a minute: `0+5x30` grows by 5 thirty times, `3x10` stays at 3.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

Series = Mapping[str, str]
_STREAM = Path(__file__).parents[2] / "nats-eventing" / "deadletter-stream.json"
DEAD_LETTERS_LIMIT_BYTES = json.loads(_STREAM.read_text())["max_bytes"]


@dataclass(frozen=True, kw_only=True)
class Case:
    alert: str
    fires: bool
    at: str
    what: str
    series: Series


def _good(per_minute: int, minutes: int) -> Series:
    return {'darkroom_objective_jobs_total{good="true"}': f"0+{per_minute}x{minutes}"}


def _bad(per_minute: int, minutes: int) -> Series:
    return {'darkroom_objective_jobs_total{good="false"}': f"0+{per_minute}x{minutes}"}


def _ended(status: str, error_type: str) -> str:
    return (
        f'darkroom_jobs_ended_total{{type="resize",cost_class="standard",status="{status}",error_type="{error_type}"}}'
    )


def _deliveries(outcome: str, values: str) -> Series:
    return {f'darkroom_deliveries_total{{trigger="resize",outcome="{outcome}"}}': values}


def _instances(ready: int, wanted: int, in_flight: int, waiting: int = 9) -> Series:
    return {
        'darkroom_instances{service="resize",state="ready"}': f"{ready}x60",
        'darkroom_instances{service="resize",state="wanted"}': f"{wanted}x60",
        'darkroom_instances_capacity{service="resize"}': f"{ready * 2}x60",
        'darkroom_requests_in_flight{service="resize"}': f"{in_flight}x60",
        'darkroom_activator_waiting{service="resize"}': f"{waiting}x60",
    }


def _pods(desired: int, requested: int) -> Series:
    labels = 'k8s_namespace_name="darkroom",kn_service_name="resize",kn_revision_name="resize-00001"'
    return {
        f"kn_revision_pods_desired{{{labels}}}": f"{desired}x60",
        f"kn_revision_pods_requested{{{labels}}}": f"{requested}x60",
    }


def _api(status: int, per_minute: int) -> Series:
    labels = f'http_request_method="POST",http_route="/api/v1/resize",http_response_status_code="{status}"'
    return {f"http_server_request_duration_seconds_count{{{labels}}}": f"0+{per_minute}x30"}


def _passed_on(status: int, per_minute: int) -> Series:
    """What Knative's activator reports of the same requests, and of everybody else's: it knows no route."""
    labels = f'http_request_method="POST",http_response_status_code="{status}",kn_service_name="other"'
    return {f"http_server_request_duration_seconds_count{{{labels}}}": f"0+{per_minute}x30"}


def _store(used: str) -> Series:
    return {"redis_memory_used_bytes": used, "redis_maxmemory_bytes": "100x80"}


def _volume(namespace: str) -> Series:
    labels = f'namespace="{namespace}",persistentvolumeclaim="data"'
    return {
        f"kubelet_volume_stats_used_bytes{{{labels}}}": "85x20",
        f"kubelet_volume_stats_capacity_bytes{{{labels}}}": "100x20",
    }


def _queue(values: str) -> Series:
    return {'darkroom_jobs_unfinished{status="queued"}': values}


def _check(values: str) -> Series:
    """The collector's check of NATS."""
    return {'httpcheck_status{http_url="http://nats:8222/healthz",http_status_class="2xx"}': values}


def _oldest_wait(values: str) -> Series:
    return {'darkroom_lane_oldest_wait_seconds{type="resize",cost_class="standard"}': values}


def _refused(limit: str, values: str) -> Series:
    return {f'darkroom_jobs_refused_total{{limit="{limit}"}}': values}


def _stored(results: str) -> Series:
    return {"darkroom_original_size_bytes_total": "0x4300", 'darkroom_result_size_bytes_total{format="jpeg"}': results}


_RECORD = {"darkroom_jobs_outbox": "0x400"}
_JETSTREAM = {"darkroom_dead_letters": "0x400"}
_COLD_STARTS = "darkroom_cold_start_duration_seconds"
_MANY_FAIL = _ended("failed", "dependency.unavailable")
_COMPLETED = _ended("completed", "")
_ACCEPTED = 'darkroom_jobs_accepted_total{type="resize",cost_class="standard"}'

CASES = (
    *(
        Case(alert=alert, fires=fires, at=at, what=what, series={**_good(good, 420), **_bad(bad, 420)})
        for alert, fires, at, what, good, bad in (
            ("DarkroomObjectiveBurnsFast", True, "70m", "one in ten is late", 9, 1),
            ("DarkroomObjectiveBurnsFast", False, "70m", "one in twenty is late", 19, 1),
            ("DarkroomObjectiveBurns", True, "380m", "one in twenty is late for six hours", 19, 1),
            ("DarkroomObjectiveBurns", False, "380m", "one in fifty is late", 49, 1),
            ("DarkroomObjectiveBurnsSlowly", True, "400m", "one in a hundred is late", 99, 1),
            ("DarkroomObjectiveBurnsSlowly", False, "400m", "one in a thousand is late", 999, 1),
        )
    ),
    Case(
        alert="DarkroomObjectiveBurnsFast",
        fires=False,
        at="70m",
        what="it was bad for half an hour and is well again",
        series={**_good(9, 80), 'darkroom_objective_jobs_total{good="false"}': "0x20 0+3x30 90x40"},
    ),
    Case(
        alert="DarkroomObjectiveBurnsFast",
        fires=False,
        at="70m",
        what="there are no jobs at all",
        series={**_good(0, 80), **_bad(0, 80)},
    ),
    Case(
        alert="DarkroomJobsOverdue",
        fires=True,
        at="5m",
        what="twenty minutes old",
        series={"darkroom_jobs_oldest_unfinished_age_seconds": "1200x10"},
    ),
    Case(
        alert="DarkroomJobsOverdue",
        fires=False,
        at="5m",
        what="ten minutes old",
        series={"darkroom_jobs_oldest_unfinished_age_seconds": "600x10"},
    ),
    Case(
        alert="DarkroomJobsOverdue",
        fires=False,
        at="30m",
        what="the oldest waits for its turn",
        series={"darkroom_jobs_oldest_unfinished_age_seconds": "0+60x40", **_oldest_wait("0+60x40")},
    ),
    Case(
        alert="DarkroomJobsOverdue",
        fires=True,
        at="30m",
        what="the oldest is not in a lane, where others wait",
        series={"darkroom_jobs_oldest_unfinished_age_seconds": "0+60x40", **_oldest_wait("0+30x40")},
    ),
    Case(alert="DarkroomOutboxStuck", fires=True, at="6m", what="five wait", series={"darkroom_jobs_outbox": "5x10"}),
    Case(
        alert="DarkroomOutboxStuck",
        fires=False,
        at="6m",
        what="the sweep helped within two minutes",
        series={"darkroom_jobs_outbox": "5x2 0x10"},
    ),
    Case(
        alert="DarkroomDeadLettersGrow",
        fires=True,
        at="15m",
        what="three more",
        series={"darkroom_dead_letters": "2x8 5x20"},
    ),
    Case(
        alert="DarkroomDeadLettersGrow",
        fires=False,
        at="45m",
        what="many, of yesterday, and one was redriven",
        series={"darkroom_dead_letters": "50x30 49x30"},
    ),
    Case(
        alert="DarkroomWebhooksOwed",
        fires=True,
        at="10m",
        what="for seven hours",
        series={"darkroom_webhooks_oldest_owed_age_seconds": "25200+60x20"},
    ),
    Case(
        alert="DarkroomWebhooksOwed",
        fires=False,
        at="10m",
        what="an endpoint was away for an hour",
        series={"darkroom_webhooks_oldest_owed_age_seconds": "3600+60x5 0x20"},
    ),
    Case(
        alert="DarkroomGivenUpNotKept", fires=True, at="15m", what="for long", series={"darkroom_jobs_given_up": "2x20"}
    ),
    Case(
        alert="DarkroomGivenUpNotKept",
        fires=False,
        at="15m",
        what="until the next sweep",
        series={"darkroom_jobs_given_up": "2x3 0x20"},
    ),
    Case(
        alert="DarkroomJobsFail",
        fires=True,
        at="25m",
        what="every other one",
        series={_MANY_FAIL: "0+5x30", _COMPLETED: "0+5x30"},
    ),
    Case(
        alert="DarkroomJobsFail",
        fires=False,
        at="25m",
        what="one in a hundred",
        series={_MANY_FAIL: "0+2x30", _COMPLETED: "0+198x30"},
    ),
    Case(
        alert="DarkroomJobsFail",
        fires=False,
        at="25m",
        what="three of three, on a quiet night",
        series={_MANY_FAIL: "0x15 3x15", _COMPLETED: "0x30"},
    ),
    Case(
        alert="DarkroomDeliveriesRepeat",
        fires=True,
        at="30m",
        what="every other delivery is made again",
        series={**_deliveries("retried", "0+5x40"), **_deliveries("delivered", "0+5x40")},
    ),
    Case(
        alert="DarkroomDeliveriesRepeat",
        fires=True,
        at="30m",
        what="on a cluster: two attempts for each job",
        series={'darkroom_job_attempts_total{type="resize",error_type=""}': "0+20x40", _COMPLETED: "0+10x40"},
    ),
    Case(
        alert="DarkroomDeliveriesRepeat",
        fires=False,
        at="30m",
        what="one in twenty is made again",
        series={
            **_deliveries("retried", "0+1x40"),
            **_deliveries("delivered", "0+19x40"),
            'darkroom_job_attempts_total{type="resize",error_type=""}': "0+20x40",
            _COMPLETED: "0+19x40",
        },
    ),
    Case(alert="DarkroomDeliveriesLost", fires=True, at="10m", what="one", series=_deliveries("lost", "0x5 1x20")),
    Case(
        alert="DarkroomDeliveriesLost", fires=False, at="40m", what="long ago", series=_deliveries("lost", "0x5 1x60")
    ),
    Case(alert="DarkroomMetricsMissing", fires=True, at="5m", what="none ever came", series={"up": "1x10"}),
    Case(
        alert="DarkroomMetricsMissing",
        fires=True,
        at="15m",
        what="they ended",
        series={"darkroom_jobs_outbox": "0x4 _x30"},
    ),
    Case(alert="DarkroomMetricsMissing", fires=False, at="5m", what="they come", series=_RECORD),
    Case(
        alert="DarkroomNatsUnhealthy",
        fires=True,
        at="5m",
        what="the runtime says it is down",
        series={**_RECORD, **_JETSTREAM, 'darkroom_server_up{server="nats"}': "0x10"},
    ),
    Case(
        alert="DarkroomNatsUnhealthy",
        fires=True,
        at="5m",
        what="on a cluster: the collector's check fails",
        series={**_RECORD, **_JETSTREAM, **_check("0x10")},
    ),
    Case(
        alert="DarkroomNatsUnhealthy",
        fires=True,
        at="5m",
        what="on a cluster: recovery reports on the job record and cannot on the streams",
        series={**_RECORD, **_check("1x10")},
    ),
    Case(
        alert="DarkroomNatsUnhealthy",
        fires=False,
        at="5m",
        what="the runtime says it is up",
        series={**_RECORD, **_JETSTREAM, 'darkroom_server_up{server="nats"}': "1x10"},
    ),
    Case(
        alert="DarkroomNatsUnhealthy",
        fires=False,
        at="5m",
        what="on a cluster, all well",
        series={**_RECORD, **_JETSTREAM, **_check("1x10")},
    ),
    Case(
        alert="DarkroomNatsUnhealthy",
        fires=False,
        at="5m",
        what="nobody reports on anything, which is another alert's",
        series={"up": "0x10"},
    ),
    Case(
        alert="DarkroomServerDown",
        fires=True,
        at="5m",
        what="Redis is down",
        series={'darkroom_server_up{server="redis"}': "0x10", 'darkroom_server_up{server="s3"}': "1x10"},
    ),
    Case(
        alert="DarkroomServerDown",
        fires=False,
        at="5m",
        what="only NATS is, which is another alert's",
        series={'darkroom_server_up{server="redis"}': "1x10", 'darkroom_server_up{server="nats"}': "0x10"},
    ),
    Case(
        alert="DarkroomServerRestarts",
        fires=True,
        at="15m",
        what="each minute",
        series={'darkroom_server_restarts_total{server="s3"}': "0+1x20"},
    ),
    Case(
        alert="DarkroomServerRestarts",
        fires=False,
        at="15m",
        what="once",
        series={'darkroom_server_restarts_total{server="s3"}': "0x5 1x20"},
    ),
    *(
        Case(
            alert="DarkroomStreamNearlyFull",
            fires=fires,
            at="10m",
            what=f"{size} of 100",
            series={
                'darkroom_stream_size_bytes{stream="a"}': f"{size}x20",
                'darkroom_stream_limit_bytes{stream="a"}': "100x20",
            },
        )
        for fires, size in ((True, 81), (False, 79))
    ),
    Case(
        alert="DarkroomStreamNearlyFull",
        fires=False,
        at="10m",
        what="a stream without a limit",
        series={'darkroom_stream_size_bytes{stream="a"}': "1000x20"},
    ),
    *(
        Case(alert="DarkroomStoreNearlyFull", fires=fires, at=at, what=what, series=_store(values))
        for fires, at, what, values in (
            (True, "70m", "85 of 100", "85x80"),
            # 85 % after 130 minutes.
            (True, "70m", "it refuses jobs in an hour", "20+0.5x80"),
            (False, "50m", "it refuses jobs in 80 minutes", "20+0.5x80"),
            (False, "70m", "half full and hardly growing", "60+0.01x80"),
            (False, "20m", "it has just begun to fill", "0+1x80"),
        )
    ),
    *(
        Case(alert="DarkroomLaneStands", fires=fires, at="30m", what=what, series=series)
        for fires, what, series in (
            (True, "others wait, and none ends", {**_oldest_wait("0+60x40"), _COMPLETED: "9x40"}),
            (False, "jobs end", {**_oldest_wait("0+60x40"), _COMPLETED: "0+1x40"}),
            (False, "nobody waits", {**_oldest_wait("0x40"), _COMPLETED: "9x40"}),
        )
    ),
    *(
        Case(alert="DarkroomTurnsLate", fires=fires, at="40m", what=what, series=_oldest_wait(values))
        for fires, what, values in (
            (True, "for more than half an hour", "0+60x50"),
            (False, "for ten minutes", "600x50"),
        )
    ),
    *(
        Case(
            alert="DarkroomDrainTakesLong",
            fires=fires,
            at="30m",
            what=what,
            series={**_queue(queued), _COMPLETED: ended},
        )
        for fires, what, queued, ended in (
            (True, "36,000 at one a second", "36000x40", "0+60x40"),
            (False, "36,000 at 20 a second", "36000x40", "0+1200x40"),
            (False, "nothing to drain", "0x40", "0x40"),
        )
    ),
    *(
        Case(alert="DarkroomBacklogFull", fires=fires, at="10m", what=what, series=_refused(limit, "0x4 0+10x20"))
        for fires, what, limit in ((True, "it refuses everybody", "backlog"), (False, "a key's own quota", "quota"))
    ),
    Case(
        alert="DarkroomBacklogFull",
        fires=False,
        at="30m",
        what="it was full, and is not any more",
        series=_refused("backlog", "0x4 0+10x10 100x20"),
    ),
    *(
        Case(
            alert="DarkroomQuotaRefuses",
            fires=fires,
            at="60m",
            what=what,
            series={**_refused("quota", f"0+{refused}x70"), _ACCEPTED: "0+100x70"},
        )
        for fires, what, refused in ((True, "one in three", 50), (False, "one in a hundred", 1))
    ),
    *(
        Case(alert="DarkroomStorageGrowsFaster", fires=fires, at="4000m", what=what, series=series)
        for fires, what, series in (
            (True, "five times as fast", _stored("0+60000000x3840 230400000000+300000000x400")),
            (False, "as fast as ever", _stored("0+600000000x4300")),
            (False, "five times of very little", _stored("0+60000x3840 230400000+300000x400")),
        )
    ),
    *(
        Case(
            alert="DarkroomVolumeNearlyFull",
            fires=fires,
            at="15m",
            what=what,
            series=_volume(namespace),
        )
        for fires, what, namespace in ((True, "one of ours", "nats-io"), (False, "somebody else's", "shop"))
    ),
    Case(
        alert="DarkroomStreamNearlyFull",
        fires=True,
        at="10m",
        what="the dead letters' stream, before it refuses more",
        series={
            'darkroom_stream_size_bytes{stream="DARKROOM_DEAD_LETTERS"}': f"{DEAD_LETTERS_LIMIT_BYTES * 85 // 100}x20",
            'darkroom_stream_limit_bytes{stream="DARKROOM_DEAD_LETTERS"}': f"{DEAD_LETTERS_LIMIT_BYTES}x20",
        },
    ),
    Case(
        alert="DarkroomAtScaleLimit",
        fires=True,
        at="40m",
        what="all busy, and more come in than are done",
        series={**_instances(2, 2, 4), **_queue("60+5x60")},
    ),
    Case(
        alert="DarkroomAtScaleLimit",
        fires=True,
        at="40m",
        what="on a cluster: more are desired than are asked for",
        series={**_pods(5, 2), **_queue("60+5x60")},
    ),
    Case(
        alert="DarkroomAtScaleLimit",
        fires=False,
        at="40m",
        what="all busy, and the backlog shrinks",
        series={**_instances(2, 2, 4), **_queue("600-5x60")},
    ),
    Case(
        alert="DarkroomAtScaleLimit",
        fires=False,
        at="40m",
        what="all busy, nobody waits for them: the backlog is another one's",
        series={**_instances(2, 2, 4, waiting=0), **_queue("60+5x60")},
    ),
    Case(
        alert="DarkroomAtScaleLimit",
        fires=False,
        at="40m",
        what="more instances are on their way",
        series={**_instances(2, 4, 4), **_queue("60+5x60")},
    ),
    Case(
        alert="DarkroomAtScaleLimit",
        fires=False,
        at="40m",
        what="on a cluster: as many as are desired",
        series={**_pods(2, 2), **_queue("60+5x60")},
    ),
    Case(
        alert="DarkroomColdStartsSlower",
        fires=True,
        at="395m",
        what="four times as long since an hour and a half",
        series={
            f'{_COLD_STARTS}_sum{{service="resize"}}': "0+0.5x300 152+2x120",
            f'{_COLD_STARTS}_count{{service="resize"}}': "0+1x420",
        },
    ),
    Case(
        alert="DarkroomColdStartsSlower",
        fires=False,
        at="395m",
        what="as ever",
        series={
            f'{_COLD_STARTS}_sum{{service="resize"}}': "0+0.5x420",
            f'{_COLD_STARTS}_count{{service="resize"}}': "0+1x420",
        },
    ),
    Case(
        alert="DarkroomColdStartsSlower",
        fires=False,
        at="395m",
        what="one slow start",
        series={
            f'{_COLD_STARTS}_sum{{service="resize"}}': "0+0.5x300 150x60 160x60",
            f'{_COLD_STARTS}_count{{service="resize"}}': "0+1x300 300x60 301x60",
        },
    ),
    Case(alert="DarkroomApiErrors", fires=True, at="15m", what="one in ten", series={**_api(200, 9), **_api(503, 1)}),
    Case(
        alert="DarkroomApiErrors", fires=False, at="15m", what="one in fifty", series={**_api(200, 49), **_api(503, 1)}
    ),
    Case(
        alert="DarkroomApiErrors",
        fires=False,
        at="15m",
        what="the clients' own faults",
        series={**_api(200, 1), **_api(422, 9)},
    ),
    Case(
        alert="DarkroomApiErrors",
        fires=False,
        at="15m",
        what="somebody else's functions, seen by Knative",
        series={**_api(200, 9), **_passed_on(503, 90)},
    ),
)
