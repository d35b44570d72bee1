"""The files that `make monitoring` writes into knative/components/monitoring, and their text. A test compares the
committed files with them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import yaml

from tools.monitoring import alerts, records
from tools.monitoring.collector import configuration
from tools.monitoring.dashboards import DASHBOARDS, grafana
from tools.monitoring.rules import Group, rule_file
from tools.monitoring.series import refuse_unknown

GROUPS: tuple[Group, ...] = (*records.GROUPS, *alerts.GROUPS)
RULES = "darkroom.rules.yaml"
_MADE_BY = "# Made by `make monitoring` from tools/monitoring; do not edit.\n"


def documents() -> dict[str, str]:
    """Return the text of each file, by its path within the component's folder."""
    refuse_unknown(expressions())
    return {
        RULES: _yaml(rule_file(GROUPS)),
        "operator/prometheus-rule.yaml": _yaml(_prometheus_rule()),
        "operator/pod-monitor.yaml": _yaml(_pod_monitor()),
        "collector-config.yaml": _yaml(configuration()),
        **{f"dashboards/{each.uid}.json": json.dumps(grafana(each), indent=1) + "\n" for each in DASHBOARDS},
    }


def expressions() -> Iterator[str]:
    """Yield every expression that rules and dashboards send to Prometheus."""
    yield from (rule.promql for group in GROUPS for rule in group.rules)
    yield from (query.expression for board in DASHBOARDS for panel in board.panels for query in panel.queries)


# --- where a cluster has the Prometheus Operator ----------------------------------------------------------------------


def _prometheus_rule() -> dict[str, Any]:
    """Return the same rules as an operator's resource."""
    return _operator_resource("PrometheusRule", "darkroom-rules", rule_file(GROUPS))


def _pod_monitor() -> dict[str, Any]:
    """Return a monitor that scrapes the collector. The collector's own `job` and `instance` identify the sender and
    must not be overwritten.
    """
    endpoint = {"port": "prometheus", "interval": "15s", "honorLabels": True}
    selector = {"matchLabels": {"app.kubernetes.io/name": "collector", "app.kubernetes.io/part-of": "darkroom"}}
    return _operator_resource(
        "PodMonitor", "darkroom-collector", {"selector": selector, "podMetricsEndpoints": [endpoint]}
    )


def _operator_resource(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    labels = {
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/component": "monitoring",
        "app.kubernetes.io/part-of": "darkroom",
    }
    metadata = {"name": name, "namespace": "darkroom", "labels": labels}
    return {"apiVersion": "monitoring.coreos.com/v1", "kind": kind, "metadata": metadata, "spec": spec}


def _yaml(document: dict[str, Any]) -> str:
    return _MADE_BY + yaml.safe_dump(document, sort_keys=False, width=1000, allow_unicode=True)
