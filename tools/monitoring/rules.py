"""Recording rules, alerts and groups of them, and how they are written for Prometheus. The rules themselves are in
`records.py` and `alerts.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tools.monitoring.promql import seconds, with_catalog_names, with_spans

DOCUMENTATION = "https://github.com/darkroom-project/darkroom/blob/main/docs"
"""Where the alerts' runbooks are read. A fork changes it here and runs `make monitoring`."""
RUNBOOK = f"{DOCUMENTATION}/operations.md"
_SHORTEST_SPAN_S = 5
"""In a faster variant: a rate needs two samples in its window, and some are scraped late."""


class Severity(StrEnum):
    PAGE = "page"
    """Wakes a person: clients notice, or will within the hour."""
    TICKET = "ticket"
    """Handled on the next working day."""


@dataclass(frozen=True, kw_only=True)
class Record:
    name: str
    expression: str
    """PromQL in which the catalog's constants stand for its metrics: `rate($JOBS_ENDED[5m])`."""

    @property
    def promql(self) -> str:
        return with_catalog_names(self.expression)


@dataclass(frozen=True, kw_only=True)
class Alert:
    name: str
    """Also the heading in the operations guide that says what to do."""
    expression: str
    """Like a Record's."""
    lasting: str
    """How long it must hold before the alert fires: `5m`, or `0s`."""
    severity: Severity
    summary: str
    description: str
    """Includes the measured value, by Prometheus' templates."""

    @property
    def promql(self) -> str:
        return with_catalog_names(self.expression)

    @property
    def runbook(self) -> str:
        return f"{RUNBOOK}#{self.name.lower()}"


@dataclass(frozen=True, kw_only=True)
class Group:
    name: str
    rules: Sequence[Record | Alert]


def rule_file(groups: Iterable[Group], *, time_scale: float = 1.0) -> dict[str, Any]:
    """Return what Prometheus reads under `rule_files`. A `time_scale` of 0.01 turns an hour into 36 seconds, for
    tests.
    """
    return {"groups": [_group(group, time_scale) for group in groups]}


def _group(group: Group, scale: float) -> dict[str, Any]:
    # Evaluated as often as Prometheus' own configuration says.
    return {"name": group.name, "rules": [_rule(rule, scale) for rule in group.rules]}


def _rule(rule: Record | Alert, scale: float) -> dict[str, Any]:
    expression = with_spans(rule.promql, lambda span: _scaled(span, scale, at_least_s=_SHORTEST_SPAN_S))
    if isinstance(rule, Record):
        return {"record": rule.name, "expr": expression}
    return {
        "alert": rule.name,
        "expr": expression,
        "for": _scaled(rule.lasting, scale, at_least_s=0),
        "labels": {"severity": str(rule.severity)},
        "annotations": {"summary": rule.summary, "description": rule.description, "runbook_url": rule.runbook},
    }


def _scaled(span: str, scale: float, *, at_least_s: int) -> str:
    return span if scale == 1 else f"{max(math.ceil(seconds(span) * scale), at_least_s)}s"
