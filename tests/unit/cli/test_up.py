"""`darkroom up`: what its options and the environment become, without starting anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from darkroom.cli import up
from darkroom.local.stack import StackOptions
from tests.stack import ROOT
from tests.unit.cli.conftest import Darkroom


class Started:
    options: StackOptions


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """Takes the options in place of the stack."""
    taken = Started()

    async def run(options: StackOptions, *, verbose: bool) -> bool:
        taken.options = options
        return True

    monkeypatch.setattr(up, "_run", run)
    monkeypatch.chdir(ROOT)
    for name in ("STORAGE_TYPE", "STORAGE_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    return taken


def test_the_rate_limits_become_the_settings_of_the_front_door(
    darkroom: Darkroom, started: Started, tmp_path: Path
) -> None:
    arguments = ("--rate-limit", "60/minute", "--rate-limit-bytes", "256Mi/minute")
    assert darkroom("up", "--data", str(tmp_path), *arguments).exit_code == 0
    settings = started.options.settings
    assert (settings["RATE_LIMIT"], settings["RATE_LIMIT_READS"]) == ("60/minute", "60/minute")
    assert settings["RATE_LIMIT_BYTES"] == "256Mi/minute"
    assert darkroom("up", "--data", str(tmp_path)).exit_code == 0
    assert started.options.settings["RATE_LIMIT_BYTES"] == "off"


@pytest.mark.parametrize("rate", ["60", "0/minute", "1MiB/minute", "60/fortnight"])
def test_a_rate_of_bytes_that_cannot_be_is_refused(darkroom: Darkroom, started: Started, rate: str) -> None:
    done = darkroom("up", "--rate-limit-bytes", rate)
    assert done.exit_code == 2
    assert '"256Mi/minute"' in done.stderr
    assert not hasattr(started, "options")


@pytest.mark.parametrize(
    ("environment", "region"),
    [
        ({}, None),
        ({"AWS_REGION": "eu-central-1"}, "eu-central-1"),
        ({"STORAGE_REGION": "ap-south-1", "AWS_REGION": "eu-central-1"}, "ap-south-1"),
        ({"STORAGE_REGION": "", "AWS_REGION": "eu-central-1"}, "eu-central-1"),
    ],
)
def test_the_region_of_an_s3_server_of_ones_own_comes_from_the_environment(
    darkroom: Darkroom,
    started: Started,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    environment: dict[str, str],
    region: str | None,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert darkroom("up", "--data", str(tmp_path), "--s3", "http://127.0.0.1:1").exit_code == 0
    assert started.options.settings.get("STORAGE_REGION") == region
    # The embedded server has one region, whatever the machine's AWS clients use.
    assert darkroom("up", "--data", str(tmp_path)).exit_code == 0
    assert "STORAGE_REGION" not in started.options.settings


def test_a_region_that_cannot_be_is_refused(
    darkroom: Darkroom, started: Started, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_REGION", "EU (Frankfurt)")
    done = darkroom("up", "--data", str(tmp_path), "--s3", "http://127.0.0.1:1")
    assert done.exit_code == 2
    assert "AWS_REGION must be a region such as eu-central-1, was 'EU (Frankfurt)'" in done.stderr
