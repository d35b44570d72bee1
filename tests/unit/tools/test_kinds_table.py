"""The page about strangers' projects lists every kind and field as the loader treats it."""

from __future__ import annotations

from pathlib import Path

import pytest

from darkroom.manifests.load import KINDS
from tools.kinds_table import with_kinds

PAGE = Path(__file__).parents[3] / "docs" / "any-project.md"


def test_the_page_has_every_kind_as_it_is() -> None:
    page = PAGE.read_text()
    assert with_kinds(page) == page, "run make reference"
    assert all(f"### {kind} (" in page for _, kind in KINDS)


@pytest.mark.parametrize(
    "row",
    [
        "| `spec.broker` | runs |",
        "| `spec.traffic` | ignored | the local runtime sends all requests to the latest revision |",
        "| `spec.filters[].cesql` | leaves it out | ",
        "| `spec.template.spec.hostNetwork` | refused | ",
        "| `spec.template.spec.containers[].resources` | checked | ",
    ],
)
def test_a_field_has_the_fate_that_the_loader_gives_it(row: str) -> None:
    assert row in PAGE.read_text()


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks the marks"):
        with_kinds("# nothing")
