"""What the functions in the database are told with each call: the store's rules and the catalog of metrics."""

from __future__ import annotations

import json

from darkroom.adapters.jobs.admission import BacklogLimits
from darkroom.adapters.jobs.redis_scripts import compact, rules_text
from darkroom.adapters.jobs.statistics import COUNTED
from darkroom.adapters.jobs.times import JobTimes
from darkroom.contract.errors import client_fault_codes
from darkroom.contract.metrics import OBJECTIVE_WITHIN_S
from darkroom.telemetry.metric import MetricKind


def rules_json(
    max_attempts: int,
    max_emissions: int,
    job_timeout_s: float,
    times: JobTimes,
    broker_window: int | None,
    limits: BacklogLimits,
) -> str:
    rules = json.loads(rules_text(max_attempts, max_emissions, job_timeout_s, times, broker_window, limits))
    return compact(
        {
            **rules,
            "objective_within": round(OBJECTIVE_WITHIN_S * 1000),
            "blameless": sorted(client_fault_codes()),
            "bounds": {
                metric.name.removeprefix("darkroom."): [round(bound * 1000) for bound in metric.buckets]
                for metric in COUNTED
                if metric.kind is MetricKind.HISTOGRAM
            },
        }
    )
