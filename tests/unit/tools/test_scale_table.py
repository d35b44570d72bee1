"""The page about scale has the plans that the tool computes from the costs of this version."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.scale_table import LOADS, with_plans

PAGE = Path(__file__).parents[3] / "docs" / "scale.md"


def test_the_page_has_the_plans_as_they_are() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_plans(page) == page, "run make reference"
    assert all(f"{per_day:,} a day" in page for per_day in LOADS)


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks the marks"):
        with_plans("# nothing")
