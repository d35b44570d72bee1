from __future__ import annotations

from heapq import heappop

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.simulate.agenda import Agenda
from darkroom.simulate.sharing import SharedProgress, on_cores, slowed_by_others


def ends(jobs: list[tuple[float, float]], sharing: SharedProgress, agenda: Agenda) -> dict[int, float]:
    """Return when each of the jobs ends, which are given by their beginning and their work in seconds."""
    found: dict[int, float] = {}

    def begin(now_s: float, number: int) -> None:
        sharing.begin(now_s, jobs[number][1], end, number)

    def end(now_s: float, number: int) -> None:
        found[number] = now_s

    for number, (at_s, _) in enumerate(jobs):
        agenda.enter(at_s, begin, number)
    play(agenda)
    return found


def play(agenda: Agenda) -> None:
    while agenda.heap:
        at_s, _, handler, argument = heappop(agenda.heap)
        handler(at_s, argument)


def test_jobs_that_overlap_share_the_cores() -> None:
    agenda = Agenda()
    found = ends([(0.0, 2.0), (1.0, 2.0)], SharedProgress(agenda, on_cores(1)), agenda)
    # Alone for 1 s; then both at half the speed until the first has 2 s of work; then the second alone.
    assert found == {0: pytest.approx(3.0), 1: pytest.approx(4.0)}


def test_enough_cores_slow_nothing_down() -> None:
    agenda = Agenda()
    found = ends([(0.0, 2.0), (1.0, 2.0)], SharedProgress(agenda, on_cores(2)), agenda)
    assert found == {0: pytest.approx(2.0), 1: pytest.approx(3.0)}


@given(
    jobs=st.lists(st.tuples(st.floats(0, 10), st.floats(0, 5)), min_size=1, max_size=12),
    cores=st.sampled_from([0.5, 1.0, 3.0]),
)
def test_no_work_is_lost_and_none_is_free(jobs: list[tuple[float, float]], cores: float) -> None:
    agenda = Agenda()
    found = ends(jobs, SharedProgress(agenda, on_cores(cores)), agenda)
    assert len(found) == len(jobs)
    for number, (at_s, work_s) in enumerate(jobs):
        assert found[number] >= at_s + work_s * max(1.0, 1.0 / cores) - 1e-6
    total = sum(work_s for _, work_s in jobs)
    assert max(found.values()) <= max(at_s for at_s, _ in jobs) + total / min(1.0, cores) + 1e-6


def test_a_cancelled_job_leaves_its_share_to_the_others() -> None:
    agenda = Agenda()
    sharing = SharedProgress(agenda, slowed_by_others(1.0, nodes=1))
    found: list[float] = []
    sharing.begin(0.0, 1.0, lambda now_s, _: found.append(now_s), None)
    other = sharing.begin(0.0, 1.0, lambda now_s, _: found.append(-1.0), None)
    sharing.cancel(1.0, other)
    play(agenda)
    assert found == [pytest.approx(1.5)]
