"""`darkroom check` finds nothing in our own files, as CI and a stranger run it; and what it prints."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from darkroom.check import check, check_texts
from darkroom.cli.commands import command
from darkroom.contract import events
from darkroom.contract.job_types import EVENT_TYPES
from darkroom.manifests.platform.rule import RULES
from tests.manifests.rendering import COMBINATIONS, INSTALLATIONS, OVERLAYS, ROOT, rendered_text

TAKEN = (*EVENT_TYPES, events.EVENT_REJECTED)
WHOLE = [name for name in COMBINATIONS if name.startswith((*OVERLAYS, *INSTALLATIONS))]
OWN = [ROOT / "knative" / "base", ROOT / "nats-eventing" / "broker.yaml"]


def run(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(command, ["check", *arguments], input=stdin)


def test_nothing_is_found_in_what_the_local_runtime_reads() -> None:
    assert check(OWN, events=TAKEN) == []


@pytest.mark.parametrize("combination", WHOLE)
def test_nothing_is_found_in_what_is_applied_to_a_cluster(combination: str) -> None:
    assert check_texts([(Path(combination), rendered_text(combination))], events=TAKEN) == []


def test_the_command_ends_with_nought_when_nothing_is_found() -> None:
    arguments = [sys.executable, "-m", "darkroom.cli", "check", *(str(path.relative_to(ROOT)) for path in OWN)]
    done = subprocess.run(arguments, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 0, done.stdout
    assert done.stdout == ""


def test_the_command_reads_standard_input_and_says_file_line_and_rule() -> None:
    done = run("-", stdin=RULES["pull-consumer"].bad)
    assert done.exit_code == 1
    assert "<stdin>:16: error [pull-consumer]" in done.stdout


def test_sarif_has_the_rules_and_each_finding_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "broker.yaml"
    file.write_text(RULES["pull-consumer"].bad)
    done = run(str(file), "--format", "sarif")
    log: dict[str, Any] = json.loads(done.stdout)
    (log_run,) = log["runs"]
    assert log["version"] == "2.1.0"
    assert {rule["id"] for rule in log_run["tool"]["driver"]["rules"]} == set(RULES)
    (result,) = log_run["results"]
    assert result["ruleId"] == "pull-consumer"
    place = result["locations"][0]["physicalLocation"]
    assert place["region"]["startLine"] == 16
    assert place["artifactLocation"]["uri"].endswith("broker.yaml")


def test_a_rule_explains_itself_with_its_examples() -> None:
    done = run("--explain", "delivery-backoff")
    assert done.exit_code == 0
    for part in ("panics", "Set both", "Breaks it", "backoffDelay: PT1S"):
        assert part in done.stdout


def test_a_rule_that_is_not_there_cannot_be_explained_or_ignored() -> None:
    for arguments in (("--explain", "nonsense"), ("--ignore", "nonsense", "knative/base")):
        done = run(*arguments)
        assert done.exit_code == 2
        assert "nonsense" in done.stderr
