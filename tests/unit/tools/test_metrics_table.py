from __future__ import annotations

from pathlib import Path

import pytest

from tools.catalog import CATALOG
from tools.metrics_table import BEGIN, END, with_catalog

PAGE = Path(__file__).parents[3] / "docs" / "operations.md"


def test_the_page_for_operators_has_the_catalog_as_it_is() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert with_catalog(page) == page, "run `make reference`"
    assert [metric.name for metric in CATALOG if f"`{metric.prometheus_name}`" not in page] == []


def test_what_stands_around_the_table_stays() -> None:
    made = with_catalog(f"before\n{BEGIN}\nold\n{END}\nafter\n")

    assert made.startswith(f"before\n{BEGIN}\n")
    assert made.endswith(f"{END}\nafter\n")
    assert "old" not in made.splitlines()


def test_a_page_without_the_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks the marks"):
        with_catalog("nothing")
