"""Reads a range from Prometheus' HTTP API: `/api/v1/query_range` with a query that gives requests per second.

    sum(rate(http_server_request_duration_seconds_count{http_route="/api/v1/resize"}[1m]))

Several series are added up.
"""

from __future__ import annotations

import json
from collections import defaultdict
from math import isfinite
from typing import Any

from darkroom.simulate.traffic.model import Traffic, TrafficError, traffic_of_rates


def is_query_answer(document: Any) -> bool:
    return isinstance(document, dict) and isinstance(document.get("data"), dict) and "resultType" in document["data"]


def read_range(text: str, *, source: str, seed: int) -> Traffic:
    """Read the answer to a range query. Raises TrafficError."""
    try:
        document = json.loads(text)
    except ValueError as exc:
        raise TrafficError(f"{source} is not JSON: {exc}") from exc
    if isinstance(document, dict) and document.get("status") == "error":
        raise TrafficError(f"Prometheus refuses the query: {document.get('error')}")
    if not is_query_answer(document):
        raise TrafficError(f"{source} is not the answer to a query of Prometheus: it has no data.resultType")
    data = document["data"]
    if data["resultType"] != "matrix":
        raise TrafficError(f"{source} is a {data['resultType']}; expected a matrix, which /api/v1/query_range answers")
    rates: defaultdict[float, float] = defaultdict(float)
    for series in data["result"]:
        for at, value in series["values"]:
            rates[float(at)] += float(value) if isfinite(float(value)) else 0.0
    return traffic_of_rates(sorted(rates.items()), source=source, seed=seed)
