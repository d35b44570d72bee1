"""What holds for every page for people: its links lead somewhere, and it installs nothing that is not ours."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "benchmarks").rglob("*.md")])

_LINK = re.compile(r"\[[^\]\n]*\]\((?!https?:)(?P<file>[^)#\s]*)(?:#(?P<heading>[^)\s]+))?\)")
_HEADING = re.compile(r"^#+ (.+)$", re.M)
_FROM_AN_INDEX = re.compile(r"pip install[^\n`]*?[\s'\"]darkroom(?![-\w])")


def _anchors(page: Path) -> set[str]:
    """The names that code hosts give to headings."""
    headings = _HEADING.findall(page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    lost = []
    for link in _LINK.finditer(page.read_text(encoding="utf-8")):
        target = (page.parent / link["file"]).resolve() if link["file"] else page
        heading = link["heading"]
        if not target.exists() or (heading and heading not in _anchors(target)):
            lost.append(link[0])
    assert lost == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_installs_the_package_of_our_name_that_is_somebody_elses(page: Path) -> None:
    assert _FROM_AN_INDEX.findall(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line", ["pip install darkroom", "pip install 'darkroom[local]'", "pip install -U darkroom==1"]
)
def test_such_a_line_would_be_found(line: str) -> None:
    assert _FROM_AN_INDEX.search(line)
    assert not _FROM_AN_INDEX.search("pip install 'darkroom-0.1.0-py3-none-any.whl[local]'")
