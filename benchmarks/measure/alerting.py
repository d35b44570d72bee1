"""Evaluates a shipped alert over series that were measured: `promtool test rules` on the file that a cluster gets."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

RULES = Path(__file__).parents[2] / "knative/components/monitoring/darkroom.rules.yaml"


class PromtoolMissingError(Exception):
    pass


def first_firing_minute(alert: str, series: Mapping[str, Sequence[float]]) -> int | None:
    """Return the first minute at which the alert fires, and goes on firing until the end; None if it does not.

    Each series has one sample per minute. Raises PromtoolMissingError.
    """
    last = min(map(len, series.values())) - 1
    if not _fires_at(last, alert, series):
        return None
    silent, firing = -1, last
    while firing - silent > 1:
        middle = (silent + firing) // 2
        silent, firing = (silent, middle) if _fires_at(middle, alert, series) else (middle, firing)
    return firing


def _fires_at(minute: int, alert: str, series: Mapping[str, Sequence[float]]) -> bool:
    asked = {
        "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})',
        "eval_time": f"{minute}m",
        "exp_samples": [{"labels": "{}", "value": 1}],
    }
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": " ".join(map(str, values))} for name, values in series.items()],
        "promql_expr_test": [asked],
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "test.yaml"
        # JSON is YAML too.
        file.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [test]}))
        done = subprocess.run([_promtool(), "test", "rules", str(file)], capture_output=True, text=True, check=False)
    if done.returncode != 0 and "got: nil" not in done.stdout + done.stderr:
        raise RuntimeError(f"promtool failed: {done.stdout}{done.stderr}")
    return done.returncode == 0


def _promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        raise PromtoolMissingError("promtool is not installed (Debian: apt-get install prometheus)")
    return found
