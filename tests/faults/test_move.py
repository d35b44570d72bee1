"""The move from Redis to PostgreSQL under load, whose mover is killed twice; `benchmarks/move.py` does it with
100,000."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.move import run, text_of

pytestmark = pytest.mark.slow


def test_a_move_that_is_killed_twice_under_load_loses_and_doubles_no_job(tmp_path: Path) -> None:
    report = run(tmp_path, finished=3000, jobs=60)
    print(f"\n{text_of(report)}")  # noqa: T201 - the figures are wanted as much as the verdict
    report.verdict.assert_nothing_lost_doubled_or_stuck()
    assert report.verdict.completed == report.verdict.accepted
    assert (report.missing, report.twice, report.left) == (0, 0, 0)
