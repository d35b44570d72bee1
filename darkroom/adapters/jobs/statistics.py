"""The counts that a job store keeps of its jobs' changes, as readings of the catalog. The stores decide when to
count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product

from darkroom.adapters.jobs import Lane
from darkroom.adapters.jobs.admission import Refusal
from darkroom.contract import metrics, webhooks
from darkroom.contract.errors import QuotaExceededError
from darkroom.contract.job_types import BACKGROUND, JOB_TYPES, NAMES
from darkroom.contract.jobs import JobStatus
from darkroom.contract.metrics import COST_CLASSES, STAGES
from darkroom.contract.parameters.values import WRITTEN_FORMATS, Format
from darkroom.telemetry.metric import Metric, MetricKind, Readings, Source
from darkroom.telemetry.tally import Tally

COUNTED = tuple(
    metric for metric in metrics.CATALOG if metric.source is Source.RECORD and metric.kind is not MetricKind.GAUGE
)

_COMPLETED = JobStatus.COMPLETED.value
_KNOWN_VALUES: Mapping[str, tuple[str, ...]] = {
    "type": NAMES,
    "cost_class": COST_CLASSES,
    "status": (_COMPLETED, JobStatus.FAILED.value),
    "stage": STAGES,
    "format": tuple(name for name in WRITTEN_FORMATS if name is not Format.KEEP),
    "good": ("true", "false"),
    "error.type": ("",),
    "reason": webhooks.FAILURES,
    "limit": ("quota", "backlog"),
}
LANES = (
    *(Lane(type=name, cost_class=cost_class) for name, cost_class in product(NAMES, COST_CLASSES)),
    *(Lane(type=job_type.name, cost_class=BACKGROUND) for job_type in JOB_TYPES if job_type.in_background),
)


@dataclass(frozen=True, kw_only=True)
class LaneLoad:
    waiting: int = 0
    with_broker: int = 0
    oldest_wait_s: float = 0.0


def limit_of(refusal: Refusal) -> str:
    """Return which limit refused the jobs, as JOBS_REFUSED names it."""
    return "quota" if isinstance(refusal, QuotaExceededError) else "backlog"


def job_tally() -> Tally:
    """A tally with every series that can be named before anything has happened."""
    tally = Tally(*COUNTED)
    for metric in COUNTED:
        for labels in _known_series(metric):
            tally.begin(metric, *labels)
    return tally


def job_readings(
    tally: Tally,
    *,
    unfinished: Mapping[JobStatus, int],
    oldest_age_s: float,
    outbox: int,
    given_up: int,
    lanes: Mapping[Lane, LaneLoad],
    broker_window: int | None,
    webhooks_owed: int = 0,
    oldest_owed_age_s: float = 0.0,
) -> Readings:
    loads = {(lane.type, lane.cost_class): lanes.get(lane, LaneLoad()) for lane in LANES}
    return {
        **tally.readings(),
        metrics.JOBS_UNFINISHED: {(status.value,): count for status, count in unfinished.items()},
        metrics.JOBS_OLDEST_UNFINISHED_AGE: {(): oldest_age_s},
        metrics.JOBS_OUTBOX: {(): outbox},
        metrics.JOBS_GIVEN_UP: {(): given_up},
        metrics.JOBS_IN_LANES: {lane: load.waiting for lane, load in loads.items()},
        metrics.JOBS_WITH_BROKER: {lane: load.with_broker for lane, load in loads.items()},
        metrics.LANE_OLDEST_WAIT: {lane: load.oldest_wait_s for lane, load in loads.items()},
        metrics.BROKER_WINDOW: {(): broker_window or 0},
        metrics.WEBHOOKS_OWED: {(): webhooks_owed},
        metrics.WEBHOOKS_OLDEST_OWED_AGE: {(): oldest_owed_age_s},
    }


def result_format(content_type: str) -> str:
    return content_type.rpartition("/")[2]


def _known_series(metric: Metric) -> Iterator[tuple[str, ...]]:
    for labels in product(*(_KNOWN_VALUES[attribute] for attribute in metric.attributes)):
        series = dict(zip(metric.attributes, labels, strict=True))
        # Which errors will occur is not known in advance.
        if "error.type" not in series or series.get("status", _COMPLETED) == _COMPLETED:
            yield labels
