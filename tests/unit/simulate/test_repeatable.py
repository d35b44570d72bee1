"""The same seed gives the same bytes, also in another process; another seed gives others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from darkroom.simulate import ColdStart, Distribution, Scenario, encode, estimate, figures, repeat, run
from tests.unit.simulate.scenarios import events, every, requests, scenario, service, trigger


def example() -> Scenario:
    model = service(
        service_time=Distribution.lognormal(0.3, 0.8),
        cold_start=ColdStart(alone=Distribution.exponential(1.0), growth=0.5),
        scaling={"min_scale": 0, "window_s": 10.0},
        failure_rate=0.1,
    )
    return scenario(model, trigger(retry=2), requests(*every(0.3, 100)), events(*every(0.4, 100)), seed=7, cores=4.0)


def test_the_same_seed_gives_the_same_bytes_and_another_one_does_not() -> None:
    first = encode(run(example()))
    assert encode(run(example())) == first
    assert encode(run(replace(example(), seed=8))) != first


def test_another_process_gives_the_same_bytes() -> None:
    program = (
        "import sys; from darkroom.simulate import encode, run; "
        "from tests.unit.simulate.test_repeatable import example; "
        "sys.stdout.buffer.write(encode(run(example())))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": os.getcwd()}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, env=environment)
    assert done.stdout == encode(run(example()))


def test_the_document_has_series_bends_and_percentiles() -> None:
    document = json.loads(encode(run(example())))
    found = document["services"]["a"]
    assert len(found["series"]["times_s"]) == len(found["series"]["wanted"]) == 101
    assert {"at_s", "before", "wanted", "code", "numbers", "sentence"} == set(found["bends"][0])
    assert document["latencies"]["trigger t"]["p50_s"] <= document["latencies"]["trigger t"]["p99_s"]
    assert document["flows"]["t"]["events"] == 100


def test_repeated_runs_have_a_confidence_interval_that_narrows() -> None:
    def of(seed: int) -> Scenario:
        return replace(example(), seed=seed)

    few, many = (repeat(of, range(runs), figures)["trigger t p50_s"] for runs in (3, 12))
    assert few.low < few.mean < few.high
    assert many.high - many.low < few.high - few.low
    assert many.runs == 12


def test_the_interval_is_students() -> None:
    """From a textbook: mean 10, standard deviation 2, five values; t(4) = 2.776."""
    found = estimate([8.0, 8.0, 10.0, 12.0, 12.0])
    assert found.mean == 10.0
    assert found.low == pytest.approx(10 - 2.776 * 2 / 5**0.5, abs=0.001)
    assert estimate([3.0]).low == estimate([3.0]).high == 3.0
