"""The benchmark of the console, in small: what it says on a quiet machine is for a person to read."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import console
from tests.browsers import CHROMIUM

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (Debian's package chromium)"),
]


@pytest.mark.timeout(300)
def test_the_benchmark_of_the_console_measures_the_list_and_the_cost(tmp_path: Path) -> None:
    options = console.parsed_arguments(["--jobs", "700", "--requests", "3", "--load", "16", "--rounds", "1"])
    text, figures = console.report(options, tmp_path)
    assert "| the newest |" in text
    assert "| console |" in text
    assert figures["list_p95_ms"] > 0
