"""The costs that `darkroom plan` computes with are those of this version: what can be counted is measured again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from benchmarks.cost_cases import Case
from benchmarks.cost_check import compare
from benchmarks.measure.job_costs import measure_cases, measuring_stack

BYTES_WITHIN = 0.5
"""A few jobs only, on which Redis' tables weigh more; `python -m benchmarks.costs --check` has the real bound."""
CASES = (Case(megapixels=1.2, width_px=320, jobs=300),)


@pytest.mark.slow
def test_requests_and_bytes_of_a_job_are_as_planned(tmp_path: Path) -> None:
    with measuring_stack(tmp_path) as measuring:
        run = asyncio.run(measure_cases(measuring, CASES, in_flight=4, share=0.3))
    compared = {each.what: each for each in compare(run, time=False)}
    assert {each.what: each.ratio for each in compared.values() if abs(each.ratio - 1) > BYTES_WITHIN} == {}
    requests = [each for what, each in compared.items() if what.endswith("requests")]
    assert {each.planned for each in requests} == {each.measured for each in requests}
