"""The application's rule for `darkroom check`: the presets are usable, in the project's file and in its ConfigMaps."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from darkroom.local.extension import Complaint

RULE = "presets"
PRESETS_FILE = "presets.yaml"
"""The name of the project's file, and the key of a ConfigMap."""


def preset_complaints(project_root: Path, manifests: Sequence[Path]) -> list[Complaint]:
    """Return every mistake in the presets, with its file and line."""
    found: list[Complaint] = []
    own = project_root / PRESETS_FILE
    if own.is_file():
        found += _complaints(own, own.read_text(encoding="utf-8", errors="replace"), first_line=1)
    for file in _files(manifests):
        for text, first_line in _in_config_maps(file):
            found += _complaints(file, text, first_line=first_line)
    return found


def _files(manifests: Sequence[Path]) -> Iterator[Path]:
    for path in manifests:
        yield from sorted([*path.rglob("*.yaml"), *path.rglob("*.yml")]) if path.is_dir() else [path]


def _in_config_maps(file: Path) -> Iterator[tuple[str, int]]:
    """Yield the texts of presets in a file's ConfigMaps, each with the line of the file at which it begins."""
    import yaml

    try:
        documents = list(yaml.compose_all(file.read_bytes(), Loader=yaml.SafeLoader))
    except (OSError, yaml.YAMLError):
        return  # what is no YAML has a rule of its own
    for document in documents:
        top = _members(document)
        kind, data = top.get("kind"), top.get("data")
        text = _members(data).get(PRESETS_FILE)
        if isinstance(text, yaml.ScalarNode) and isinstance(kind, yaml.ScalarNode) and kind.value == "ConfigMap":
            # The text of a block begins below its key.
            yield text.value, text.start_mark.line + (2 if text.style in {"|", ">"} else 1)


def _members(node: object) -> dict[str, object]:
    import yaml

    if not isinstance(node, yaml.MappingNode):
        return {}
    return {key.value: value for key, value in node.value if isinstance(key, yaml.ScalarNode)}


def _complaints(file: Path, text: str, *, first_line: int) -> Iterator[Complaint]:
    from darkroom.contract.presets import PresetsInvalidError
    from darkroom.local.extension import Complaint
    from darkroom.serving.preset_file import presets_of_yaml

    try:
        presets_of_yaml(text)
    except PresetsInvalidError as exc:
        for mistake in exc.mistakes:
            line = first_line + _line_of(text, mistake.field.partition(".")[0])
            yield Complaint(file=file, line=line, rule=RULE, message=f"{mistake.field}: {mistake.message}")
    except ValueError as exc:
        yield Complaint(file=file, line=first_line, rule=RULE, message=str(exc))


def _line_of(text: str, name: str) -> int:
    """Return the line of a preset in the text, from 0."""
    found = re.search(rf"^[\"']?{re.escape(name)}[\"']?\s*:", text, re.M)
    return 0 if found is None else text.count("\n", 0, found.start())
