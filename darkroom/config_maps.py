"""Finds values in the ConfigMaps of YAML files, with their lines: for the application's rules of `darkroom check`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class ConfigMapValue:
    text: str
    line: int
    """The line of the file at which the text begins, from 1."""


def yaml_files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        yield from sorted([*path.rglob("*.yaml"), *path.rglob("*.yml")]) if path.is_dir() else [path]


def config_map_values(file: Path, key: str) -> Iterator[ConfigMapValue]:
    """Yield what the file's ConfigMaps have under this key."""
    import yaml

    try:
        documents = list(yaml.compose_all(file.read_bytes(), Loader=yaml.SafeLoader))
    except (OSError, yaml.YAMLError):
        return  # what is no YAML has a rule of its own
    for document in documents:
        top = _members(document)
        kind, text = top.get("kind"), _members(top.get("data")).get(key)
        if isinstance(text, yaml.ScalarNode) and isinstance(kind, yaml.ScalarNode) and kind.value == "ConfigMap":
            # The text of a block begins below its key.
            below = 2 if text.style in {"|", ">"} else 1
            yield ConfigMapValue(text=text.value, line=text.start_mark.line + below)


def _members(node: object) -> dict[str, object]:
    import yaml

    if not isinstance(node, yaml.MappingNode):
        return {}
    return {key.value: value for key, value in node.value if isinstance(key, yaml.ScalarNode)}
