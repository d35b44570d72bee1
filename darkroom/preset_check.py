"""The application's rule for `darkroom check`: the presets are usable, in the project's file and in its ConfigMaps."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from darkroom.config_maps import config_map_values, yaml_files

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
    for file in yaml_files(manifests):
        for value in config_map_values(file, PRESETS_FILE):
            found += _complaints(file, value.text, first_line=value.line)
    return found


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
