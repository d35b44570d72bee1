"""Adds a file to a kustomization's list, as a person would: one line, and everything else stays as it is."""

from __future__ import annotations

import re
from pathlib import Path

import click
import yaml

_LIST = re.compile(r"^resources:[ \t]*(#.*)?$", re.M)
_ITEM = re.compile(r"(?P<indent>[ \t]*)- ")


def with_resource(text: str, name: str, *, file: Path) -> str:
    """Return a kustomization's text with one more resource at the end of its list.

    Raises click.ClickException where the list is written in a way that a new line does not fit into.
    """
    lines = text.splitlines(keepends=True)
    start = _LIST.search(text)
    if start is None:
        changed = None if re.search("^resources:", text, re.M) else f"{_ended(text)}resources:\n  - {name}\n"
    else:
        last, indent = _last_item(lines, text[: start.start()].count("\n"))
        lines[last] = _ended(lines[last])
        lines.insert(last + 1, f"{indent}- {name}\n")
        changed = "".join(lines)
    if changed is None or _resources(changed) != [*_resources(text), name]:
        raise click.ClickException(
            f"nothing was written, because {name} cannot be added to the list `resources` in {file} as it is written; "
            "write it with one item per line"
        )
    return changed


def _last_item(lines: list[str], start: int) -> tuple[int, str]:
    """The number of the list's last line, and its indentation; with an empty list, those of a first item."""
    last, indent = start, "  "
    for number, line in enumerate(lines[start + 1 :], start + 1):
        item = _ITEM.match(line)
        if item is not None:
            last, indent = number, item["indent"]
        elif line.strip() and not line.lstrip().startswith("#"):
            break
    return last, indent


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"


def _resources(text: str) -> list[object]:
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError:
        return []
    listed = data.get("resources") if isinstance(data, dict) else None
    return listed if isinstance(listed, list) else []
