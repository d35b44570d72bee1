"""Webhooks that are owed for longer than the first tries take."""

from __future__ import annotations

from collections.abc import Iterator

from darkroom.contract import metrics
from darkroom.diagnosis import Finding
from darkroom.diagnosis.words import acting, lasted
from darkroom.job_diagnosis.numbers import number, numbers
from darkroom.telemetry.metric import Readings

PATIENCE_S = 30.0
"""The first try and the second, which comes after five seconds, may fail for many a reason."""


def webhook_findings(readings: Readings) -> Iterator[Finding]:
    owed = int(number(readings, metrics.WEBHOOKS_OWED))
    oldest_s = number(readings, metrics.WEBHOOKS_OLDEST_OWED_AGE)
    if not owed or oldest_s < PATIENCE_S:
        return
    failed = sorted(numbers(readings, metrics.WEBHOOKS_FAILED).items(), key=lambda each: -each[1])
    reasons = ", ".join(f"{reason} {count:.0f} times" for (reason,), count in failed) or "none has failed yet"
    yield Finding(
        code="webhooks.failing",
        severity="delay",
        subject="webhooks",
        sentence=(
            f"{acting(owed, 'webhook', 'wait')} to be sent, the longest for {lasted(oldest_s)}: an endpoint does not "
            f"take them. Tries that failed since the job store was made: {reasons}."
        ),
        remedy=(
            "`darkroom job ID` says which endpoint a job's end is owed to, and `darkroom webhooks test ENDPOINT` sends "
            "it a message. They are tried again for 28 hours."
        ),
    )
