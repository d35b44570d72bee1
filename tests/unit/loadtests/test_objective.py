from __future__ import annotations

import pytest

from darkroom.contract.metrics import OBJECTIVE_RATIO, OBJECTIVE_WITHIN_S
from loadtests.errors import ObjectiveError
from loadtests.objective import Objective


def test_the_default_is_the_catalogs_and_reads_as_it_is_written() -> None:
    assert Objective.parse("99.5% within 10s") == Objective() == Objective.parse(str(Objective()))
    assert (Objective().ratio, Objective().within_s) == (OBJECTIVE_RATIO, OBJECTIVE_WITHIN_S)


@pytest.mark.parametrize("text", ["", "10s", "99.5 within 10s", "101% within 1s", "99% within 10m", "99% within -1s"])
def test_what_is_no_objective_is_refused_with_one_that_is(text: str) -> None:
    with pytest.raises(ObjectiveError, match="reads like"):
        Objective.parse(text)


@pytest.mark.parametrize(("slow", "held"), [(0, True), (1, True), (2, False)])
def test_one_slow_job_of_two_hundred_is_within_the_objective_and_a_second_one_is_not(slow: int, held: bool) -> None:
    times_s = [10.0] * (200 - slow) + [10.01] * slow
    assert Objective().evaluate(times_s, asked=200).is_met is held


def test_a_picture_that_was_never_done_counts_against_it() -> None:
    objective_result = Objective().evaluate([1.0] * 99, asked=100)
    assert objective_result.ratio == 0.99
    assert not objective_result.is_met
