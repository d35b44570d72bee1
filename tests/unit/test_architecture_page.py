"""docs/architecture.md names files that exist, and leaves no package and no room of the house out."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
TOP = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}

_SHOWN = re.compile(r"`([^`\n]+)`")
_TABLE = re.compile(r"^\| looking for \.\.\. \| it is in \.\.\. \|\n\|---\|---\|\n((?:\|.*\n)+)", re.M)
_ROOM = re.compile(r"^\| `darkroom/local/(\w+)` \|", re.M)


def _paths(text: str) -> set[str]:
    """What is shown as a path of the repository, in code spans."""
    return {shown for shown in _SHOWN.findall(text) if shown.split("/")[0] in TOP}


def _index() -> list[tuple[str, str]]:
    [rows] = _TABLE.findall(PAGE)
    cells = [row.strip("|").split(" | ") for row in rows.splitlines()]
    return [(term.strip(), places.strip()) for term, places in cells]


def test_every_path_that_the_page_names_exists() -> None:
    named = _paths(PAGE)
    assert len(named) > 80
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("parent", ["darkroom", "darkroom/local", "functions"])
def test_every_package_has_its_place_on_the_page(parent: str) -> None:
    packages = {str(init.parent.relative_to(ROOT)) for init in (ROOT / parent).glob("*/__init__.py")}
    assert packages
    assert packages - _paths(PAGE) == set()


def test_every_entry_of_the_index_leads_to_a_file_or_a_folder() -> None:
    index = _index()
    assert len(index) >= 40
    assert [term for term, places in index if not _paths(places)] == []
    terms = [term for term, _ in index]
    assert len(terms) == len(set(terms))


def test_the_rooms_stand_in_the_order_that_import_linter_enforces() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    [top_to_bottom] = [contract["layers"] for contract in contracts if contract.get("containers") == ["darkroom.local"]]
    rooms = _ROOM.findall(PAGE)
    assert rooms == [layer for layer in reversed(top_to_bottom) if layer in rooms]


def test_every_top_level_folder_is_on_the_page() -> None:
    # Generated folders come and go; what the repository has is what the page must know.
    ours = {"benchmarks", "darkroom", "functions", "images", "knative", "loadtests", "nats-eventing", "tests", "tools"}
    mentioned = {shown.split("/")[0] for shown in _SHOWN.findall(PAGE)}
    assert ours - mentioned == set()


@pytest.mark.parametrize(
    "term",
    [
        "activator", "Broker", "claim", "cost class", "dead letter", "fencing token", "KPA", "lease", "outbox",
        "panic window", "redelivery", "redrive", "revision", "stable window", "sweep", "Trigger",
    ],
)  # fmt: skip
def test_the_glossary_explains_the_terms_of_the_field(term: str) -> None:
    glossary = PAGE.partition("## Glossary")[2]
    assert re.search(rf"^\| {re.escape(term)} \| \S.*\|$", glossary, re.M)
