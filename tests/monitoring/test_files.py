"""What is checked in is what the code says; every name it uses is measured; every alert has its runbook."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.manifests.rendering import MONITORING, ROOT
from tools.catalog import CATALOG
from tools.monitoring.alerts import ALERTS
from tools.monitoring.files import RULES, documents, expressions
from tools.monitoring.promql import UnknownMetricError, metrics_in, with_catalog_names, with_spans
from tools.monitoring.records import NAMES
from tools.monitoring.rules import DOCUMENTATION, Alert
from tools.monitoring.series import refuse_unknown

COMPONENT = ROOT / MONITORING
BY_HAND = {"kustomization.yaml", "collector.yaml", "network-policies.yaml"}
_RUNBOOKS = "## What to do for each alert"


@pytest.mark.parametrize("name", list(documents()))
def test_what_is_checked_in_is_what_the_code_says(name: str) -> None:
    assert (COMPONENT / name).read_text(encoding="utf-8") == documents()[name], "run `make monitoring`"


def test_no_file_is_left_over() -> None:
    there = {str(file.relative_to(COMPONENT)) for file in COMPONENT.rglob("*") if file.is_file()}
    assert there == set(documents()) | BY_HAND


def test_every_metric_of_the_catalog_is_looked_at() -> None:
    asked = {name for expression in expressions() for name in metrics_in(expression)}
    unseen = [m.name for m in CATALOG if not any(name.startswith(m.prometheus_name) for name in asked)]
    assert unseen == []


def test_every_recording_rule_is_used() -> None:
    asked = {name for expression in expressions() for name in metrics_in(expression)}
    assert asked >= NAMES


def test_every_alert_has_its_heading_in_the_operations_guide_and_no_other() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    section = text[text.index(_RUNBOOKS) + len(_RUNBOOKS) :].partition("\n## ")[0]
    assert sorted(re.findall(r"^### (\w+)$", section, re.M)) == sorted(alert.name for alert in ALERTS)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_an_alert_says_how_urgent_it_is_what_it_is_and_what_to_do(alert: Alert) -> None:
    rules = [rule for group in yaml.safe_load(documents()[RULES])["groups"] for rule in group["rules"]]
    (rule,) = (each for each in rules if each.get("alert") == alert.name)
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["description"].endswith(".")
    assert rule["annotations"]["runbook_url"] == f"{DOCUMENTATION}/operations.md#{rule['alert'].lower()}"


# --- reading PromQL --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "named"),
    [
        ("up", {"up"}),
        ('sum by (le, a) (rate(b_bucket{c="d"}[5m])) > 0.5', {"b_bucket"}),
        ("a:b:c1 and on () (count(d) > 0) or vector(0)", {"a:b:c1", "d"}),
        ('label_replace(max(a), "b", "$1", "c", "(.+)") offset 5m', {"a"}),
        ("a / on () group_left () (sum(rate(b[$__rate_interval])) > bool 0) unless c", {"a", "b", "c"}),
        ("histogram_quantile(0.95, sum by (le) (rate(a_bucket[1m])))", {"a_bucket"}),
    ],
)
def test_the_metrics_of_an_expression_are_told(expression: str, named: set[str]) -> None:
    assert metrics_in(expression) == named


def test_a_constant_of_the_catalog_becomes_its_name() -> None:
    assert with_catalog_names("rate($JOBS_ENDED[5m])") == "rate(darkroom_jobs_ended_total[5m])"
    assert with_catalog_names("${JOB_DURATION}_sum") == "darkroom_job_duration_seconds_sum"


def test_a_name_that_nobody_measures_is_refused() -> None:
    with pytest.raises(UnknownMetricError, match="JOBS_EATEN"):
        with_catalog_names("rate($JOBS_EATEN[5m])")
    with pytest.raises(UnknownMetricError, match="darkroom_jobs_eaten"):
        refuse_unknown(["sum(darkroom_jobs_eaten)"])


def test_spans_of_time_are_changed_and_nothing_else() -> None:
    text = 'rate(a{b="5m"}[5m] offset 1h) > 5'
    assert with_spans(text, lambda span: f"<{span}>") == 'rate(a{b="5m"}[<5m>] offset <1h>) > 5'
