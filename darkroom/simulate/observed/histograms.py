"""Reads histograms in Prometheus' text format: a page of /metrics, or what `promtool query` and federation return.

A histogram says how many values lie between two bounds. The values that are made of it lie evenly within their bucket,
the lowest from zero; those above the last bound are put at the bound, so the longest are underestimated.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from math import inf, isinf

from darkroom.simulate.observed.model import InstanceStart, Observed, ObservedError

SERVICE_METRICS = (
    "revision_app_request_latencies",
    "http_server_request_duration_seconds",
    "kn_serving_request_duration_seconds",
    "darkroom_render_duration_seconds",
)
"""In milliseconds (queue-proxy's before Knative 1.19) or seconds, by the name's end."""
START_METRICS = ("darkroom_cold_start_duration_seconds", "kn_revision_pod_start_duration_seconds")
_VALUES = 400
"""Made of one histogram."""
_SAMPLE = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)_bucket\{(?P<labels>.*)\}\s+(?P<value>\S+)", re.ASCII)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_SERVICE_LABELS = ("service", "service_name", "configuration_name", "kn_service_name", "job")


def is_exposition(text: str) -> bool:
    return any(_SAMPLE.match(line) for line in text.splitlines())


def read_histograms(text: str, *, service: str, source: str, metric: str = "") -> Observed:
    """Read the histograms of service times (`metric`, or one of SERVICE_METRICS) and of starts. Raises ObservedError.

    Series that name another Service are left out.
    """
    buckets = _buckets(text, service)
    served = _first(buckets, (metric,) if metric else SERVICE_METRICS)
    started = _first(buckets, START_METRICS)
    if not served and not started:
        known = ", ".join(sorted(buckets)) or "no histogram at all"
        wanted = metric or " or ".join((*SERVICE_METRICS, *START_METRICS))
        raise ObservedError(f"{source} has no histogram {wanted} of {service}; it has {known}")
    return Observed(
        source=source, service_s=tuple(served), starts=tuple(InstanceStart(took_s=took_s) for took_s in started)
    )


def _buckets(text: str, service: str) -> Mapping[str, Mapping[float, float]]:
    found: defaultdict[str, defaultdict[float, float]] = defaultdict(lambda: defaultdict(float))
    for line in text.splitlines():
        match = _SAMPLE.match(line)
        if match is None:
            continue
        labels = dict(_LABEL.findall(match["labels"]))
        named = [labels[name] for name in _SERVICE_LABELS if name in labels]
        if not named or service in named:
            bound = labels.get("le", "+Inf")
            found[match["name"]][inf if bound == "+Inf" else float(bound)] += float(match["value"])
    return found


def _first(buckets: Mapping[str, Mapping[float, float]], names: Sequence[str]) -> Sequence[float]:
    for name in names:
        if any(buckets.get(name, {}).values()):
            # queue-proxy's latencies were milliseconds, and its name has no unit.
            scale = 1e-3 if name.endswith("latencies") else 1.0
            return [value * scale for value in _values(buckets[name])]
    return ()


def _values(cumulative: Mapping[float, float]) -> Iterator[float]:
    bounds = sorted(cumulative)
    total = cumulative[bounds[-1]]
    made, below, lower = 0, 0.0, 0.0
    for bound in bounds:
        upper = lower if isinf(bound) else bound
        share = cumulative[bound] - below
        until = round(_VALUES * cumulative[bound] / total)
        count = until - made
        yield from (lower + (upper - lower) * (place + 0.5) / count for place in range(count) if share > 0)
        made, below, lower = until, cumulative[bound], upper
