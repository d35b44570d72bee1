"""Each alert fires when it should and is silent when it should: `promtool test rules` on the file that is shipped."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.manifests.rendering import MONITORING, ROOT
from tests.monitoring.alert_cases import CASES, Case
from tests.monitoring.prometheus import needs_promtool
from tools.monitoring.alerts import ALERTS
from tools.monitoring.files import GROUPS, RULES
from tools.monitoring.promql import seconds
from tools.monitoring.rules import rule_file

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
@pytest.mark.parametrize("alert", [alert.name for alert in ALERTS])
def test_an_alert_fires_when_it_should_and_only_then(alert: str, tmp_path: Path) -> None:
    cases = [case for case in CASES if case.alert == alert]
    done = promtool("test", "rules", write(tmp_path / "cases.yaml", cases))
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
@pytest.mark.parametrize("fires", [True, False])
def test_a_wrong_expectation_is_found(fires: bool, tmp_path: Path) -> None:
    stuck = {"darkroom_jobs_outbox": "0x10" if fires else "5x10"}
    wrong = Case(alert="DarkroomOutboxStuck", fires=fires, at="6m", what="", series=stuck)
    assert promtool("test", "rules", write(tmp_path / "cases.yaml", [wrong])).returncode != 0


def write(file: Path, cases: Sequence[Case]) -> Path:
    """For all cases of an alert; JSON is YAML too."""
    # Hours in larger steps: an evaluation of all rules takes a millisecond or two.
    interval = "1m" if all(seconds(case.at) < 3600 for case in cases) else "4m"
    tests = [_test(case) for case in cases]
    file.write_text(json.dumps({"rule_files": [str(SHIPPED)], "evaluation_interval": interval, "tests": tests}))
    return file


def _test(case: Case) -> dict[str, Any]:
    expected: list[dict[str, Any]] = [{"labels": "{}", "value": 1}] if case.fires else []
    asked = {
        "expr": f'count(ALERTS{{alertname="{case.alert}",alertstate="firing"}})',
        "eval_time": case.at,
        "exp_samples": expected,
    }
    return {
        "name": case.what,
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
        "promql_expr_test": [asked],
    }
