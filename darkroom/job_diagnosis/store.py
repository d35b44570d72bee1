"""The job store: full or nearly so, the limit of unfinished jobs, events that no Broker took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from darkroom.adapters.jobs.admission import MAX_MEMORY_SHARE, backlog_full, over_memory
from darkroom.adapters.jobs.condition import StoreCondition
from darkroom.contract import metrics
from darkroom.diagnosis import Finding
from darkroom.diagnosis.words import counted, size
from darkroom.job_diagnosis.numbers import number
from darkroom.telemetry.metric import Readings

NEARLY_FULL_SHARE = 0.7
_SUBJECT = "job store"


def store_findings(condition: StoreCondition, readings: Readings, settings: Mapping[str, str]) -> Iterator[Finding]:
    yield from _memory(condition)
    yield from _backlog(condition, settings)
    yield from _outbox(readings)


def _memory(condition: StoreCondition) -> Iterator[Finding]:
    used, most = condition.used_bytes, condition.max_bytes
    remedy = (
        "Give Redis a larger maxmemory, or keep records for a shorter time (JOB_RETENTION): memory is freed as records "
        f"expire. Below {MAX_MEMORY_SHARE:.0%} jobs are taken again, without a restart."
    )
    refused = over_memory(used, most)
    if refused is not None:
        yield Finding(
            code="store.full",
            severity="stop",
            subject=_SUBJECT,
            sentence=f"{refused.detail}: Redis is full. New jobs are refused with 503 {refused.code}.",
            remedy=remedy,
        )
    elif most and used > NEARLY_FULL_SHARE * most:
        yield Finding(
            code="store.nearly_full",
            severity="risk",
            subject=_SUBJECT,
            sentence=(
                f"Redis has used {used / most:.0%} of its memory ({size(used)} of {size(most)}); above "
                f"{MAX_MEMORY_SHARE:.0%} no more jobs are taken."
            ),
            remedy=remedy,
        )


def _backlog(condition: StoreCondition, settings: Mapping[str, str]) -> Iterator[Finding]:
    limit = settings.get("MAX_BACKLOG", "")
    if limit.isdecimal() and condition.load.unfinished >= int(limit):
        refused = backlog_full(condition.load, int(limit), 1)
        yield Finding(
            code="backlog.full",
            severity="stop",
            subject=_SUBJECT,
            sentence=f"the backlog is full: {refused.detail}. New jobs are refused with 503 {refused.code}.",
            remedy="Wait until jobs have ended, let the functions do more at once (max-scale), or raise MAX_BACKLOG.",
        )


def _outbox(readings: Readings) -> Iterator[Finding]:
    waiting = int(number(readings, metrics.JOBS_OUTBOX))
    if waiting:
        yield Finding(
            code="outbox.waits",
            severity="delay",
            subject="outbox",
            sentence=f"the Broker has not taken the events of {counted(waiting, 'job')}, which wait in the outbox.",
            remedy="Mend the Broker or NATS; recovery sends the events again by itself.",
        )
