"""What the benchmarks of the queue measure, small: what must hold on every machine, without a time."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from statistics import median

import pytest

from benchmarks import drain, small_redis, turns
from tests.monitoring.prometheus import needs_promtool

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

WINDOW = 8


def test_what_gathered_while_nats_was_away_is_done_without_the_sweep(tmp_path: Path) -> None:
    """Killed, and then frozen."""
    settings = {"BROKER_WINDOW": str(WINDOW)}
    with drain.running_queue(tmp_path, keys=4, settings=settings, sweep=False) as queue:
        figures = drain.measure(queue, jobs=80, keys=4, away="killed", of_one_key=40, frozen_s=2)
    drained = (figures.never_away, figures.away, figures.one_key)
    assert [one.jobs for one in drained] == [80, 80, 40]
    assert [one.failed for one in drained] == [0, 0, 0]
    assert figures.never_away.emitted_again == 0


def test_a_window_bounds_a_jobs_wait_whatever_the_backlog_of_another_key(tmp_path: Path) -> None:
    with ExitStack() as resources:
        bounded = resources.enter_context(turns.running_side(tmp_path / "bounded", str(WINDOW)))
        unbounded = resources.enter_context(turns.running_side(tmp_path / "unbounded", turns.UNBOUNDED))
        for side in (bounded, unbounded):
            side.warm_up()
        waits = {backlog: bounded.waits(backlog, 3) for backlog in (50, 150)}
        [without] = unbounded.waits(100, 1)
    renders = {backlog: median(wait.renders for wait in found) for backlog, found in waits.items()}
    assert max(renders.values()) <= 2 * WINDOW, renders
    assert without.renders > 5 * WINDOW


def test_a_store_that_is_full_refuses_and_takes_jobs_again_when_finished_ones_expire(tmp_path: Path) -> None:
    loaded = small_redis.load(tmp_path, maxmemory="6mb", retention="10s", seconds=20, per_s=15, expire_after_s=4)
    assert loaded.count(small_redis.FULL) > 0
    assert loaded.count("accepted") > 0
    assert loaded.others == {}
    assert loaded.refused_with_room == 0
    assert loaded.unfinished == 0


@needs_promtool
def test_the_alert_of_a_store_that_fills_fires_an_hour_before_it_refuses(tmp_path: Path) -> None:
    filled = small_redis.fill_up(tmp_path, maxmemory="4mb", sampled_jobs=30)
    assert filled.refused_at > 100, "a store that fills in less cannot be told of an hour before"
    assert filled.lead is not None
    assert filled.lead >= 60
