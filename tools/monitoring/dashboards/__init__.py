"""Four Grafana dashboards, written as code. A module each; `panels.py` has what they are made of."""

from __future__ import annotations

from tools.monitoring.dashboards.errors import ERRORS
from tools.monitoring.dashboards.overview import OVERVIEW
from tools.monitoring.dashboards.panels import Dashboard, grafana
from tools.monitoring.dashboards.performance import PERFORMANCE
from tools.monitoring.dashboards.pipeline import PIPELINE

DASHBOARDS = (OVERVIEW, PIPELINE, ERRORS, PERFORMANCE)

__all__ = ["DASHBOARDS", "Dashboard", "grafana"]
