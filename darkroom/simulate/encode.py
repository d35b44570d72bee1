"""Encodes a Result as JSON. The same Result has the same bytes, so that runs can be compared as files.

Latencies are given as percentiles; the samples themselves would be most of the file.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from darkroom.simulate.result import Bend, FlowResult, Latencies, Result, ServiceResult

PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9, 100.0)
_DIGITS = 6


def encode(result: Result) -> bytes:
    return (json.dumps(as_object(result), separators=(",", ":"), allow_nan=False) + "\n").encode()


def as_object(result: Result) -> dict[str, Any]:
    """Return the JSON object: counts, series, percentiles in seconds, and bends with their sentences."""
    return {
        "seed": result.seed,
        "duration_s": _plain(result.duration_s),
        "pod_seconds": _plain(result.pod_seconds),
        "services": {name: _service(each) for name, each in result.services.items()},
        "flows": {name: _counts(each) for name, each in result.flows.items()},
        "latencies": {path: _latencies(each) for path, each in result.latencies.items()},
    }


def _service(service: ServiceResult) -> dict[str, Any]:
    series = {field.name: _plain(getattr(service.series, field.name)) for field in fields(service.series)}
    return {**_counts(service), "series": series, "bends": [_bend(bend) for bend in service.bends]}


def _counts(part: ServiceResult | FlowResult) -> dict[str, Any]:
    names = (field.name for field in fields(part))
    return {name: _plain(getattr(part, name)) for name in names if name not in ("name", "series", "bends")}


def _bend(bend: Bend) -> dict[str, Any]:
    reason = bend.reason
    return {
        "at_s": _plain(bend.at_s),
        "before": bend.before,
        "wanted": bend.wanted,
        "code": reason.code.value,
        "numbers": _plain(reason.numbers),
        "sentence": reason.sentence,
    }


def _latencies(latencies: Latencies) -> dict[str, Any]:
    percentiles = {f"p{percent:g}_s": _plain(latencies.percentile(percent)) for percent in PERCENTILES}
    return {"count": latencies.count, "cold": latencies.cold, "mean_s": _plain(latencies.mean_s), **percentiles}


def _plain(value: Any) -> Any:
    """Round floats, which differ in their last digits only."""
    if isinstance(value, float):
        return round(value, _DIGITS)
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, array) and value.typecode == "q":
        return value.tolist()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(each) for each in value]
    return value
