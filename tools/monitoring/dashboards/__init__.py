"""Four Grafana dashboards, written as code: one module each. `panels.py` defines their parts."""

from __future__ import annotations

from tools.monitoring.dashboards.errors import ERRORS
from tools.monitoring.dashboards.overview import OVERVIEW
from tools.monitoring.dashboards.panels import Dashboard, grafana
from tools.monitoring.dashboards.performance import PERFORMANCE
from tools.monitoring.dashboards.pipeline import PIPELINE

DASHBOARDS = (OVERVIEW, PIPELINE, ERRORS, PERFORMANCE)

__all__ = ["DASHBOARDS", "Dashboard", "grafana"]
