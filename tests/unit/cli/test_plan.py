from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from darkroom.check import inspect
from darkroom.cli.plan.command import command
from darkroom.cli.plan.deployed import read_deployment
from tests.unit.cli.conftest import Darkroom

ROOT = Path(__file__).parents[3]
ARGUMENTS = ("plan", "--per-day", "1000000", "--size", "634KB", "--megapixels", "3", "--keep", "7d")


@pytest.fixture(autouse=True)
def _in_this_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_the_plan_names_what_is_needed_and_what_is_too_small_now(darkroom: Darkroom) -> None:
    done = darkroom(*ARGUMENTS)
    assert done.exit_code == 0, done.output
    for part in (
        "cores on average",
        "max-scale",
        "maxAckPending",
        "BROKER_WINDOW",
        "Redis maxmemory",
        "EXAMPLE PRICES",
    ):
        assert part in done.output
    assert "Redis: maxmemory is too small by " in done.output


def test_every_example_of_the_help_runs(darkroom: Darkroom, tmp_path: Path) -> None:
    examples = re.findall(r"^\s+darkroom (plan .*?)(?:  .*)?$", command.help or "", re.M)
    assert len(examples) == 3
    for example in examples:
        arguments, _, file = example.partition(" > ")
        done = darkroom(*arguments.split())
        assert done.exit_code == 0, done.output
        if file:
            prices = tmp_path / "prices.toml"
            prices.write_text(done.output)
            assert darkroom(*ARGUMENTS, "--prices", str(prices)).exit_code == 0


def test_json_has_the_amounts_in_base_units(darkroom: Darkroom) -> None:
    plan = json.loads(darkroom(*ARGUMENTS, "--json").output)
    assert plan["workload"]["picture_bytes"] == 634_000
    assert plan["network"]["uploaded_bytes_per_day"] == 634_000 * 10**6
    assert plan["storage"]["requests_per_day"]["PUT"] == pytest.approx(2e6, rel=0.6)
    assert plan["broker"]["max_ack_pending"] == plan["broker"]["broker_window"]
    assert plan["measured"]["machine"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--megapixels", "51"), "megapixels per picture must be from 0.0001 to 50, was 51"),
        (("--size", "634X"), "must be a size such as 634KB, 2.5MB or 600KiB, was '634X'"),
        (("--per-day", "many"), "must be a whole number such as 1000000 or 1,000,000, was 'many'"),
        (("--keep", "week"), "must be a duration such as 8d, 168h or 30m, was 'week'"),
        (("--to", "gif"), "the cost of gif written was not measured"),
    ],
)
def test_a_wrong_value_is_refused_with_the_value_and_what_is_allowed(
    darkroom: Darkroom, arguments: tuple[str, str], message: str
) -> None:
    done = darkroom(*ARGUMENTS, *arguments)
    assert done.exit_code != 0
    assert message in done.output


def test_a_price_file_that_lacks_a_price_is_refused_with_the_key(darkroom: Darkroom, tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text('label = "ours"\ncurrency = "EUR"\n[prices]\ncpu_core_hour = 0.03\n')
    done = darkroom(*ARGUMENTS, "--prices", str(prices))
    assert done.exit_code == 1
    assert "prices.egress_gib: Field required" in done.output


def test_the_deployment_is_read_from_the_manifests() -> None:
    deployment = read_deployment([Path("knative/installations/production")])
    assert deployment.functions["resize"].max_scale == 10
    assert deployment.functions["resize"].container_concurrency == 2
    assert deployment.functions["resize"].takes_jobs
    assert not deployment.functions["ingest"].takes_jobs
    assert (deployment.max_ack_pending, deployment.broker_window) == (40, 40)
    assert deployment.redis_maxmemory_bytes == 2**30
    assert deployment.redis_disk_bytes == 8 * 2**30
    assert deployment.jetstream_bytes == 18 * 2**30
    assert deployment.storage_bytes == 4 * 50 * 2**30
    assert deployment.rate_per_minute == 60


def test_a_project_without_manifests_is_planned_too(
    darkroom: Darkroom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = darkroom(*ARGUMENTS)
    assert done.exit_code == 0, done.output
    assert "There are no manifests to compare with" in done.output


@pytest.mark.parametrize("per_day", ["1000", "1000000", "20000000"])
def test_manifests_with_the_planned_values_pass_the_linter(darkroom: Darkroom, tmp_path: Path, per_day: str) -> None:
    plan = json.loads(darkroom(*ARGUMENTS, "--json", "--per-day", per_day).output)
    for name in ("knative", "nats-eventing"):
        shutil.copytree(ROOT / name, tmp_path / name)
    base = tmp_path / "knative/base"
    window = plan["broker"]["max_ack_pending"]
    _replace(tmp_path / "nats-eventing/broker.yaml", r"maxAckPending: 40", f"maxAckPending: {window}")
    _replace(base / "settings.yaml", r'BROKER_WINDOW: "40"', f'BROKER_WINDOW: "{window}"')
    scales = {"resize": plan["functions"]["resize"]["max_scale"]}
    for name, lowest in plan["broker"]["lowest_max_scales"].items():
        now = read_deployment([base]).functions[name].max_scale
        scales[name] = max(lowest, now)
    for name, scale in scales.items():
        _replace(base / f"{name}.yaml", r'max-scale: "\d+"', f'max-scale: "{scale}"')
    found = inspect([base, tmp_path / "nats-eventing/broker.yaml"]).findings
    assert [str(each) for each in found if "window" in each.rule or "ack-pending" in each.rule] == []


def _replace(file: Path, pattern: str, text: str) -> None:
    replaced, count = re.subn(pattern, text, file.read_text())
    assert count == 1, file
    file.write_text(replaced)
