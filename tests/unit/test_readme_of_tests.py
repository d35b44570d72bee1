"""The map of the tests' helpers is whole."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
_ROW = re.compile(r"^\| `(?P<first>[\w./]+)` \|", re.M)


def first_cells() -> list[str]:
    return _ROW.findall((TESTS / "README.md").read_text(encoding="utf-8"))


def test_every_helper_module_is_listed_once_and_no_other() -> None:
    helpers = {str(file.relative_to(TESTS)) for file in TESTS.rglob("*.py") if not file.name.startswith("test_")}
    listed = [cell for cell in first_cells() if cell.endswith(".py")]
    assert (helpers - set(listed), set(listed) - helpers) == (set(), set()), "not listed, not there"
    assert len(listed) == len(helpers)


def test_every_folder_of_tests_is_listed_once_and_no_other() -> None:
    folders = {f"{file.relative_to(TESTS).parts[0]}/" for file in TESTS.rglob("test_*.py")}
    assert sorted(cell for cell in first_cells() if cell.endswith("/")) == sorted(folders)
