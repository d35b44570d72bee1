"""Parses YAML to plain data plus the line of every field. It knows nothing about the meaning of the data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from darkroom.manifests.errors import Finding, ManifestError

FieldPath: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True)
class Document:
    """One document of a YAML file."""

    file: Path
    data: Any
    lines: Mapping[FieldPath, int]
    """The line of every key and list element, from 1."""

    def line(self, path: FieldPath = ()) -> int:
        """Return the line of a field, or of its nearest enclosing field that exists."""
        while path not in self.lines:
            path = path[:-1]
        return self.lines[path]

    def finding(self, path: FieldPath, message: str) -> Finding:
        return Finding(file=self.file, line=self.line(path), path=dotted(path), message=message)


def dotted(path: FieldPath) -> str:
    """Format a path as `spec.containers[0].image`; keys with a dot or a slash are put in brackets."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif "." in step or "/" in step:
            text += f'["{step}"]'
        else:
            text += f".{step}" if text else step
    return text


def read(file: Path) -> list[Document]:
    """Read a file's documents, without the empty ones; raises ManifestError."""
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ManifestError([Finding(file=file, line=1, path="", message=f"cannot be read: {exc}")]) from exc
    return parse(text, file)


def parse(text: str, file: Path, first_line: int = 1) -> list[Document]:
    """Parse the documents of a text that begins on `first_line` of the file.

    The text may be a string inside a manifest. Raises ManifestError.
    """
    try:
        nodes = list(yaml.compose_all(text, yaml.SafeLoader))
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        line = first_line + (mark.line if mark else 0)
        message = f"not YAML: {exc.problem or exc.context}"
        raise ManifestError([Finding(file=file, line=line, path="", message=message)]) from exc
    except yaml.YAMLError as exc:
        raise ManifestError([Finding(file=file, line=first_line, path="", message=f"not YAML: {exc}")]) from exc
    try:
        return [_document(node, file, first_line) for node in nodes if not _is_null(node)]
    except RecursionError as exc:
        message = "not YAML that a cluster takes: an alias that holds itself, or too deeply nested"
        raise ManifestError([Finding(file=file, line=first_line, path="", message=message)]) from exc


def _is_null(node: yaml.Node) -> bool:
    return node.tag == "tag:yaml.org,2002:null"


def _document(node: yaml.Node, file: Path, first_line: int) -> Document:
    lines: dict[FieldPath, int] = {(): first_line + node.start_mark.line}
    duplicates: list[Finding] = []
    for path, at in _walk(node, ()):
        line = first_line + at.start_mark.line
        if path in lines:
            message = f"the key is there twice, first on line {lines[path]}"
            duplicates.append(Finding(file=file, line=line, path=dotted(path), message=message))
        lines[path] = line
    if duplicates:
        raise ManifestError(duplicates)
    return Document(file=file, data=_construct(node, file, first_line), lines=lines)


def _construct(node: yaml.Node, file: Path, first_line: int) -> Any:
    # Each document needs a new constructor, which caches by node.
    constructor = yaml.constructor.SafeConstructor()
    try:
        return constructor.construct_document(node)
    except yaml.MarkedYAMLError as exc:
        line = first_line + (exc.problem_mark.line if exc.problem_mark else 0)
        message = f"not YAML: {exc.problem}"
        raise ManifestError([Finding(file=file, line=line, path="", message=message)]) from exc


def _walk(node: yaml.Node, path: FieldPath) -> Iterator[tuple[FieldPath, yaml.Node]]:
    """Yield every field below a node, with the node that marks its line."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue  # It has no name for a path; the constructed data is refused because of it.
            yield (*path, key.value), key
            yield from _walk(value, (*path, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield (*path, index), value
            yield from _walk(value, (*path, index))
