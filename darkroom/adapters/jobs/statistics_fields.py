"""How Redis keeps the statistics: one hash, a field a number. The scripts count (lua/counting.lua); here is the naming.

    jobs.accepted|resize|standard                    a counter: the metric's name without `darkroom.`, its attributes
    job.duration|resize|standard|completed|250       a histogram: how many took at most 250 ms, and more than the bound
                                                     before it; `inf` is the last
    job.duration|resize|standard|completed|sum       their sum, in milliseconds

A bucket bears its bound, so that counts of an earlier version with other bounds still fall where they belong.
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
    """The catalog as the scripts know it: a constant for each metric's name, its bounds, what is nobody's fault."""
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
        # While functions are being replaced, a newer one may count what this one does not know yet.
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
