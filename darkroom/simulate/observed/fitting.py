"""Turns observations into what the simulator draws from: a distribution of service times, a model of cold starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from darkroom.simulate.distributions import ColdStart, Distribution
from darkroom.simulate.model import ServiceModel
from darkroom.simulate.observed.model import InstanceStart, Observed

_ALONE = 1.2
"""Starts with fewer than this at once, on average, count as alone."""


def fit_service_time(service_s: Sequence[float]) -> Distribution:
    return Distribution(samples=tuple(service_s))


def fit_cold_start(starts: Sequence[InstanceStart]) -> ColdStart:
    """Fit how long a start takes alone, and how much more with each other start under way.

    `growth` is the median of what each crowded start took more than the median lone one, per other start. Without a
    lone start it cannot be known, and is 0: the samples are then of starts as they came.
    """
    alone = [start.took_s for start in starts if start.at_once < _ALONE]
    crowded = [start for start in starts if start.at_once >= _ALONE]
    if not alone:
        return ColdStart(alone=Distribution(samples=tuple(start.took_s for start in starts)))
    usual_s = median(alone)
    slower = [(start.took_s / usual_s - 1) / (start.at_once - 1) for start in crowded]
    growth = max(0.0, median(slower)) if slower else 0.0
    brought_back = [start.took_s / (1 + growth * (start.at_once - 1)) for start in crowded]
    return ColdStart(alone=Distribution(samples=(*alone, *brought_back)), growth=growth)


def with_observed(service: ServiceModel, observed: Observed) -> ServiceModel:
    """Return the Service with the times that were observed; what was not observed stays."""
    if observed.service_s:
        service = replace(service, service_time=fit_service_time(observed.service_s))
    if observed.starts:
        service = replace(service, cold_start=fit_cold_start(observed.starts))
    return service
