"""The page about `darkroom check` lists the rules that there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from darkroom.manifests.platform.rules import RULES
from tools.rules_table import with_rules

PAGE = Path(__file__).parents[3] / "docs" / "check.md"


def test_the_page_has_every_rule_as_it_is() -> None:
    page = PAGE.read_text()
    assert with_rules(page) == page, "run make reference"
    assert all(f"| `{name}` |" in page for name in RULES)


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks the marks"):
        with_rules("# nothing")
