"""Each alert fires when it should and is silent when it should: `promtool test rules` on the file that is shipped."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from darkroom.monitoring.alerts import ALERTS
from darkroom.monitoring.files import GROUPS, RULES
from darkroom.monitoring.promql import seconds
from darkroom.monitoring.rules import rule_file
from tests.manifests.rendering import MONITORING, ROOT
from tests.monitoring.alert_cases import CASES, Case
from tests.monitoring.prometheus import needs_promtool

SHIPPED = ROOT / MONITORING / RULES


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=120)


@needs_promtool
def test_prometheus_takes_the_rules() -> None:
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", SHIPPED)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_prometheus_takes_the_faster_variant(tmp_path: Path) -> None:
    file = tmp_path / "fast.yaml"
    file.write_text(json.dumps(rule_file(GROUPS, time_scale=0.01)))
    done = promtool("check", "rules", file)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_has_a_case_that_fires_and_one_that_does_not() -> None:
    names = {alert.name for alert in ALERTS}
    assert {case.alert for case in CASES if case.fires} == names
    assert {case.alert for case in CASES if not case.fires} == names


@needs_promtool
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.alert}-{case.what}")
def test_an_alert_fires_when_it_should_and_only_then(case: Case, tmp_path: Path) -> None:
    done = promtool("test", "rules", write(tmp_path / "case.yaml", case))
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_a_wrong_expectation_is_found(tmp_path: Path) -> None:
    wrong = Case(alert="DarkroomOutboxStuck", fires=False, at="6m", what="", series={"darkroom_jobs_outbox": "5x10"})
    assert promtool("test", "rules", write(tmp_path / "case.yaml", wrong)).returncode != 0


def write(file: Path, case: Case) -> Path:
    """JSON is YAML too."""
    expected: list[dict[str, Any]] = [{"labels": "{}", "value": 1}] if case.fires else []
    asked = {
        "expr": f'count(ALERTS{{alertname="{case.alert}",alertstate="firing"}})',
        "eval_time": case.at,
        "exp_samples": expected,
    }
    test = {
        "name": case.what,
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
        "promql_expr_test": [asked],
    }
    # Hours in larger steps: an evaluation of all rules takes a millisecond or two.
    interval = "1m" if seconds(case.at) < 3600 else "4m"
    file.write_text(json.dumps({"rule_files": [str(SHIPPED)], "evaluation_interval": interval, "tests": [test]}))
    return file
