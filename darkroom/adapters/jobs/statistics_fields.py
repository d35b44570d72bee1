"""The names of the statistics in Redis: one hash, one field per number. The scripts count (lua/counting.lua).

    jobs.accepted|resize|standard                    a counter: the metric's name without `darkroom.`, its attributes
    job.duration|resize|standard|completed|250       a histogram: how many took at most 250 ms, and more than the
                                                     previous bound; `inf` is the last
    job.duration|resize|standard|completed|sum       the sum of the durations, in milliseconds

A bucket's name includes its bound, so that counts of an earlier version with other bounds still go to the right bucket.
"""

from __future__ import annotations

from collections.abc import Mapping

from darkroom.adapters.jobs.statistics import COUNTED, job_tally
from darkroom.contract.errors import client_fault_codes
from darkroom.contract.metrics import OBJECTIVE_WITHIN_S
from darkroom.telemetry.metric import Metric, MetricKind
from darkroom.telemetry.tally import Tally

_PREFIX = "darkroom."
_BY_NAME = {metric.name.removeprefix(_PREFIX): metric for metric in COUNTED}


def lua_catalog() -> str:
    """The catalog for the scripts: a constant per metric name, the bounds, and the error codes that are nobody's
    fault."""
    names = [f"local {_constant(name)} = '{name}'" for name in _BY_NAME]
    bounds = [
        f"  if metric == {_constant(name)} then return {{ {_bounds_ms(metric)} }} end"
        for name, metric in _BY_NAME.items()
        if metric.kind is MetricKind.HISTOGRAM
    ]
    codes = " ".join(f"['{code}'] = true," for code in sorted(client_fault_codes()))
    return "\n".join(
        [
            *names,
            f"local OBJECTIVE_WITHIN = {round(OBJECTIVE_WITHIN_S * 1000)}",
            "local function bounds_of(metric)",
            *bounds,
            "end",
            "local function is_blameless(code)",
            f"  return ({{ {codes} }})[code] == true",
            "end",
        ]
    )


def tally_of(fields: Mapping[str, str]) -> Tally:
    tally = job_tally()
    for field, number in fields.items():
        name, *labels = field.split("|")
        metric = _BY_NAME.get(name)
        # During a rollout, a newer version may count metrics that this one does not know.
        if metric is not None:
            _add(tally, metric, labels, int(number))
    return tally


def _add(tally: Tally, metric: Metric, labels: list[str], number: int) -> None:
    if metric.kind is not MetricKind.HISTOGRAM:
        tally.count(metric, *labels, by=number)
    elif labels[-1] == "sum":
        tally.count(metric, *labels[:-1], by=number / 1000)
    else:
        tally.fill(metric, *labels[:-1], value=float(labels[-1]) / 1000, times=number)


def _constant(name: str) -> str:
    return name.upper().replace(".", "_")


def _bounds_ms(metric: Metric) -> str:
    return ", ".join(str(round(bound * 1000)) for bound in metric.buckets)
