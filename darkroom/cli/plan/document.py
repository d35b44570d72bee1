"""A plan as JSON: amounts in base units (bytes, cores, seconds, requests a day)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from darkroom.planning import postgres
from darkroom.planning.plan import Plan
from darkroom.planning.report import findings
from darkroom.planning.sizing import FunctionSize
from darkroom.planning.workload import REDIS


def plan_document(plan: Plan) -> dict[str, Any]:
    demand = plan.demand
    return {
        "workload": {**asdict(plan.workload), "cost_class": plan.workload.cost_class},
        "cpu": {
            "ms_per_job": demand.cpu_ms_per_job,
            "mean_cores": demand.mean_cores,
            "peak_cores": demand.peak_cores,
            "mean_cores_by_process": {name: demand.cores(name) for name in demand.cpu_ms},
        },
        "functions": {each.name: _function(each) for each in plan.sizing.functions},
        "broker": {
            "max_ack_pending": plan.sizing.max_ack_pending,
            "broker_window": plan.sizing.broker_window,
            "lowest_max_scales": dict(plan.sizing.lowest_max_scales),
        },
        "job_store": _redis(plan) if plan.workload.store == REDIS else _postgres(plan),
        "jetstream": {
            "writes_per_day": demand.jetstream_writes_per_day,
            "bytes_per_day": demand.jetstream_bytes_per_day,
        },
        "storage": {
            "requests_per_day": {method: demand.s3_requests_per_day(method) for method in demand.s3_requests},
            "bytes_written_per_day": demand.s3_bytes_in_per_day,
            "bytes_read_per_day": demand.s3_bytes_out_per_day,
            "bytes_at_rest": demand.stored_bytes,
        },
        "network": {
            "uploaded_bytes_per_day": demand.uploaded_bytes_per_day,
            "downloaded_bytes_per_day": demand.downloaded_bytes_per_day,
            "storage_bits_per_s_at_peak": demand.peak_bits_per_s,
        },
        "month": {
            "prices": plan.bill.label,
            "currency": plan.bill.currency,
            "items": dict(plan.bill.items),
            "total": plan.bill.total,
        },
        "parts": [
            {"name": each.name, "needed": each.needed, "available": each.available, "unit": each.unit, "use": each.use}
            for each in plan.parts
        ],
        "cells": {"count": plan.cells.count, "decided_by": plan.cells.decided_by},
        "findings": findings(plan),
        "measured": plan.costs.about.model_dump(mode="json"),
    }


def _function(size: FunctionSize) -> dict[str, Any]:
    return asdict(size)


def _postgres(plan: Plan) -> dict[str, Any]:
    return {
        "finished_records": postgres.finished_records(plan.demand),
        "postgres_disk_bytes": postgres.disk_bytes(plan.demand),
        "postgres_log_bytes": postgres.LOG_BYTES,
    }


def _redis(plan: Plan) -> dict[str, Any]:
    demand = plan.demand
    return {
        "finished_records": demand.finished_records,
        "unfinished_records": demand.unfinished_records,
        "records_bytes": demand.records_bytes,
        "redis_maxmemory_bytes": demand.redis_maxmemory_bytes,
    }
