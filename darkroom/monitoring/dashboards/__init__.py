"""Four Grafana dashboards, written as code. A module each; `panels.py` has what they are made of."""

from __future__ import annotations

from darkroom.monitoring.dashboards.errors import ERRORS
from darkroom.monitoring.dashboards.overview import OVERVIEW
from darkroom.monitoring.dashboards.panels import Dashboard, grafana
from darkroom.monitoring.dashboards.performance import PERFORMANCE
from darkroom.monitoring.dashboards.pipeline import PIPELINE

DASHBOARDS = (OVERVIEW, PIPELINE, ERRORS, PERFORMANCE)

__all__ = ["DASHBOARDS", "Dashboard", "grafana"]
