"""Lanes that are full: the Broker has as many of their jobs as its window allows, and the others wait."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from darkroom.contract import metrics
from darkroom.diagnosis import Finding
from darkroom.diagnosis.functions import does_not_start, is_in_crash_loop
from darkroom.diagnosis.words import acting, counted, lasted
from darkroom.job_diagnosis.numbers import number
from darkroom.telemetry.metric import Readings

PATIENCE_S = 3.0
"""A lane that is full for a moment is what it is for."""


def lane_findings(readings: Readings, status: Mapping[str, Any]) -> Iterator[Finding]:
    window = int(number(readings, metrics.BROKER_WINDOW))
    for type, cost_class in readings.get(metrics.JOBS_IN_LANES, {}):
        waiting = int(number(readings, metrics.JOBS_IN_LANES, type, cost_class))
        oldest_s = number(readings, metrics.LANE_OLDEST_WAIT, type, cost_class)
        if waiting and oldest_s >= PATIENCE_S:
            with_broker = int(number(readings, metrics.JOBS_WITH_BROKER, type, cost_class))
            function = _function(type, cost_class, status)
            yield Finding(
                code="lane.full",
                severity="delay",
                subject=f"lane {type} {cost_class}",
                sentence=(
                    f"the lane of {cost_class} {type} jobs is full: {with_broker} of {window} places with the Broker "
                    f"are taken, and {acting(waiting, 'job', 'wait')} for room, the longest for {lasted(oldest_s)}. "
                    f"{_why(function)}"
                ),
                remedy=_remedy(function, window),
                link="/autoscaler",
            )


def _function(type: str, cost_class: str, status: Mapping[str, Any]) -> Mapping[str, Any] | None:
    name = f"{type}-heavy" if cost_class == "heavy" else type
    return next((row for row in status.get("functions", []) if row.get("name") == name), None)


def _why(function: Mapping[str, Any] | None) -> str:
    if function is None:
        return "Which function does them is not known."
    name, ready, most = function["service"], int(function.get("ready", 0)), int(function.get("max_scale") or 0)
    if _is_broken(function):
        return f"They wait because {does_not_start(function)}."
    at_once = int(function.get("container_concurrency") or 0) * ready
    capacity = f", for {counted(at_once, 'job')} at once" if at_once else ""
    limit = f" of at most {most}" if most else ""
    return f"They wait because {name} is busy: it has {counted(ready, 'instance')}{limit}{capacity}."


def _remedy(function: Mapping[str, Any] | None, window: int) -> str:
    if function is not None and _is_broken(function):
        return f"Mend {function['service']}; the jobs that wait go on by themselves."
    name = "the function" if function is None else str(function["service"])
    if function is not None and function.get("capped"):
        return f"{name} may have more instances, but this machine's limit is reached: raise --max-instances."
    return (
        f"Wait, or let {name} do more at once: raise its max-scale, and with it maxAckPending and BROKER_WINDOW, which "
        f"is {window}. `darkroom plan` says how far."
    )


def _is_broken(function: Mapping[str, Any]) -> bool:
    failing = function.get("failing")
    return failing is not None and is_in_crash_loop(function, float(failing.get("last_at", 0.0)))
