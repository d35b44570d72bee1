"""The benchmarks of PostgreSQL at a size at which they say nothing: that they run, and what they report."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import postgres_commit, postgres_scale
from darkroom.adapters.jobs.postgres import schema
from tests.faults.postgres_pair import postgres_pair

pytestmark = pytest.mark.slow


def test_each_call_is_compared_with_an_empty_store_and_a_day_is_dropped(tmp_path: Path) -> None:
    text = postgres_scale.run(tmp_path, jobs=7000, calls=100, drops=1, settle_s=1)
    for call in postgres_scale.CALLS:
        assert f"| {call} |" in text
    assert "7,000 finished jobs were made" in text
    assert "While a day was dropped, no call took longer than" in text


def test_each_setting_of_a_commit_is_measured(tmp_path: Path) -> None:
    with postgres_pair(tmp_path) as pair:
        schema.prepare(pair.url)
        [figures] = postgres_commit.measure(pair, seconds=0.2, rounds=1)
    assert set(figures) == set(postgres_commit.SETTINGS)
    assert all(per_s > 0 for per_s in figures.values())
