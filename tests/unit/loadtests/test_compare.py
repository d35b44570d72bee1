"""Two runs side by side: a difference is called one only where it is certain."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from loadtests import compare_page
from loadtests.compare import compared, instance_seconds
from loadtests.errors import RecordingError
from loadtests.percentiles import percentile
from loadtests.recording import RecordedInstances, RecordedJob, Recording
from loadtests.resampling import difference
from tests.unit.loadtests.recorded import JOB, RUN


def run(
    times_s: list[float], *, outcome: str = "completed", order: str = "resize 2K", shape: str = "burst"
) -> Recording:
    jobs = [
        replace(JOB, arrival_s=number / 10, ended_s=number / 10 + took_s, outcome=outcome, order=order)
        for number, took_s in enumerate(times_s)
    ]
    return replace(RUN, jobs=jobs, run=replace(RUN.run, shape=shape))


def drawn(seed: int, *, mean_s: float, count: int = 200) -> list[float]:
    draw = random.Random(seed)
    return [draw.gauss(mean_s, mean_s / 5) for _ in range(count)]


def verdicts(first: Recording, second: Recording) -> dict[str, str]:
    return {value.name: value.verdict for value in compared(first, second).values}


def test_a_run_that_is_twice_as_slow_is_worse_and_the_other_way_round_better() -> None:
    fast, slow = run(drawn(1, mean_s=1)), run(drawn(2, mean_s=2))
    assert verdicts(fast, slow)["POST to done, p50"] == "worse"
    assert verdicts(slow, fast)["POST to done, p50"] == "better"


def test_two_runs_of_the_same_system_show_no_difference() -> None:
    found = verdicts(run(drawn(1, mean_s=1)), run(drawn(2, mean_s=1)))
    assert set(found.values()) == {"no difference that these runs can tell"}


def test_a_run_beside_itself_differs_by_nothing() -> None:
    [p50, *_] = compared(run(drawn(1, mean_s=1)), run(drawn(1, mean_s=1))).values
    assert p50.difference.change == 0
    assert p50.difference.low <= 0 <= p50.difference.high


def test_jobs_that_are_slow_together_do_not_make_a_difference_certain() -> None:
    """One queue of fifty slow neighbours: were they independent, the interval would be a fraction of this."""
    queued = [1.0] * 150 + [5.0] * 50
    shuffled = list(queued)
    random.Random(1).shuffle(shuffled)

    def mean(values: object) -> float:
        assert isinstance(values, list)
        return sum(values) / len(values)

    together, apart = (difference(values, values, mean) for values in (queued, shuffled))
    assert together.high - together.low > 2 * (apart.high - apart.low)


def test_the_interval_holds_the_true_difference_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(40):
        found = difference(drawn(seed, mean_s=1, count=60), drawn(1000 + seed, mean_s=1.1, count=60), _median)
        held += found.low <= 0.1 <= found.high
    assert held >= 34


def _median(values: object) -> float:
    assert isinstance(values, list)
    return percentile(values, 0.5)


def test_the_share_done_in_time_is_better_when_it_is_larger() -> None:
    slow, fast = run([12.0] * 30 + [1.0] * 30), run([1.0] * 60)
    assert verdicts(slow, fast)["done within 10 s"] == "better"


def test_a_refused_picture_counts_as_not_done_in_time() -> None:
    first, second = run([1.0] * 20), run([1.0] * 20)
    refused = replace(JOB, outcome="refused", ended_s=None)
    comparison = compared(first, replace(second, jobs=[*second.jobs, *[refused] * 20]))
    [ratio] = [value for value in comparison.values if value.name == "done within 10 s"]
    assert (ratio.difference.first, ratio.difference.second) == (1.0, 0.5)


def test_runs_of_another_load_are_warned_of() -> None:
    comparison = compared(run([1.0] * 20), run([1.0] * 20, shape="ramp"))
    assert comparison.warnings[0] == "the runs are not of the same load (shape: burst and ramp)"


def test_a_run_of_which_nothing_was_done_cannot_be_compared() -> None:
    with pytest.raises(RecordingError, match="no job of the second run was completed"):
        compared(run([1.0]), run([1.0], outcome="refused"))


def test_instance_seconds_are_the_area_under_the_ready_instances() -> None:
    rows = [
        RecordedInstances(at_s=at_s, service="resize", wanted=2, ready=ready, capped=False)
        for at_s, ready in ((0, 0), (1, 2), (3, 1), (4, 0))
    ]
    assert instance_seconds(replace(RUN, instances=rows)) == {"resize": 5.0}


def test_the_page_and_the_terminal_show_both_runs_and_each_verdict(tmp_path: Path) -> None:
    comparison = compared(run(drawn(1, mean_s=1)), run(drawn(2, mean_s=2)))
    compare_page.write(comparison, tmp_path / "new" / "compare.html")
    html, text = (tmp_path / "new" / "compare.html").read_text(), "\n".join(compare_page.lines(comparison))
    for shown in (html, text):
        assert "burst at scale 0.5, 200 pictures" in shown
        assert "POST to done, p99" in shown
        assert "worse" in shown
    assert html.count('class="line') >= 2


def test_orders_are_compared_one_by_one() -> None:
    def mixed(crop_s: float) -> Recording:
        resized, cropped = run([1.0] * 30), run([crop_s] * 30, order="crop 2K")
        jobs: list[RecordedJob] = [*resized.jobs, *cropped.jobs]
        return replace(resized, jobs=jobs)

    found = verdicts(mixed(1.0), mixed(3.0))
    assert (found["resize 2K, p50"], found["crop 2K, p50"]) == ("no difference that these runs can tell", "worse")
