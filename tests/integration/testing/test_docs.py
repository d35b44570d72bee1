"""docs/testing-your-functions.md: its project is written to a folder as the page shows it, and its tests are run."""

from __future__ import annotations

import re
from pathlib import Path

import functions_framework  # noqa: F401
import pytest

# pytester forgets what a run in this process imports. Half of the modules would then be there twice.
from darkroom.testing import Broker

pytest_plugins = ["pytester"]

PAGE = (Path(__file__).parents[3] / "docs" / "testing-your-functions.md").read_text(encoding="utf-8")
_FILE = re.compile(r"^<!-- file: (?P<path>\S+) -->\n```\w+\n(?P<text>.*?)^```", re.M | re.S)


def test_the_examples_of_the_page_pass(pytester: pytest.Pytester) -> None:
    files = {found["path"]: found["text"] for found in _FILE.finditer(PAGE)}
    for path, text in files.items():
        (pytester.path / path).parent.mkdir(parents=True, exist_ok=True)
        (pytester.path / path).write_text(text)
    tests = [path for path in files if path.startswith("tests/")]
    assert len(tests) == 3
    pytester.runpytest_inprocess("--import-mode=importlib").assert_outcomes(passed=4)


def test_every_call_that_the_page_lists_exists() -> None:
    [table] = re.findall(r"^\| call \| what it does \|\n\|---\|---\|\n((?:\|.*\n)+)", PAGE, re.M)
    named = {name for row in table.splitlines() for name in re.findall(r"`(\w+)(?:\(|`)", row.split(" | ")[0])}
    assert {"send", "received", "settled"} <= named
    assert [name for name in sorted(named) if not hasattr(Broker, name)] == []
    public = {name for name in vars(Broker) if not name.startswith("_")} - {"close"}
    assert public - named - {"publish"} == set()
