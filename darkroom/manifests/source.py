"""Parses YAML to plain data plus the line of every field, as kubectl does. It does not know what the data mean.

Scalars are resolved by the rules of the YAML library that Kubernetes uses (go.yaml.in/yaml/v2, resolve.go): a date is
a string, `yes` and `on` are booleans, and there are no numbers of base 60. Only its `y` and `n` stay strings, so that a
label `x: y` is no error. Keys become strings, as in JSON. Reading is bounded in size, depth and time, whatever a file
contains.
"""

from __future__ import annotations

import codecs
import copy
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from darkroom.manifests.errors import Finding, ManifestError

FieldPath: TypeAlias = tuple[str | int, ...]

MAX_FILE_BYTES = 8 * 2**20
"""A cluster takes objects of 1.5 MB; the largest public bundles of definitions have about 5 MB."""
MAX_DEPTH = 200
"""Maximum nesting. Definitions of custom resources, the deepest manifests there are, reach about 60."""
MAX_VALUES = 500_000
"""Maximum number of values in a file after its aliases are expanded."""


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

    def without_items(self, path: FieldPath, indices: Collection[int]) -> Document:
        """Return the document without some items of a list. The others keep their lines."""
        kept = [index for index in range(len(self._at(path))) if index not in indices]
        lines = {at: line for at, line in self.lines.items() if at[: len(path)] != path or len(at) == len(path)}
        for new, old in enumerate(kept):
            below = (*path, old)
            lines |= {
                (*path, new, *at[len(below) :]): line for at, line in self.lines.items() if at[: len(below)] == below
            }
        data = copy.deepcopy(self.data)
        owner = data
        for step in path[:-1]:
            owner = owner[step]
        owner[path[-1]] = [self._at(path)[index] for index in kept]
        return replace(self, data=data, lines=lines)

    def _at(self, path: FieldPath) -> Any:
        found = self.data
        for step in path:
            found = found[step]
        return found

    def finding(self, path: FieldPath, message: str) -> Finding:
        return Finding(file=self.file, line=self.line(path), path=dotted(path), message=message)


class ProblemKind(StrEnum):
    UNREADABLE = "the file cannot be read"
    SYNTAX = "not YAML"
    TAG = "a tag that Kubernetes does not read"
    KEY = "a key that is a mapping or a list"
    DUPLICATE_KEY = "a key that is there twice"
    TOO_LARGE = "too large or too deep to read"


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Why a part of a file is not plain YAML."""

    kind: ProblemKind
    line: int
    message: str
    path: FieldPath = ()


@dataclass(kw_only=True)
class Reading:
    """What could be read of a text: its documents up to the first error of syntax, without the empty ones."""

    documents: list[Document] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


class ReadError(Exception):
    """A file or a text of which nothing can be read."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


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
        text = read_text(file)
    except ReadError as exc:
        raise ManifestError([_finding(exc.problem, file)]) from exc
    return parse(text, file)


def parse(text: str, file: Path, first_line: int = 1) -> list[Document]:
    """Parse the documents of a text that begins on `first_line` of the file.

    The text may be a string inside a manifest. Raises ManifestError.
    """
    reading = scan(text, file, first_line)
    if reading.problems:
        raise ManifestError([_finding(problem, file) for problem in reading.problems])
    return reading.documents


def _finding(problem: Problem, file: Path) -> Finding:
    return Finding(file=file, line=problem.line, path=dotted(problem.path), message=problem.message)


# --- bytes to text ---------------------------------------------------------------------------------------------------

_OTHER_ENCODINGS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def read_text(file: Path) -> str:
    """Read a file as UTF-8, with or without a byte order mark; raises ReadError."""
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        raise _unreadable(f"cannot be read: {reason}", ProblemKind.UNREADABLE) from exc
    if len(content) > MAX_FILE_BYTES:
        message = f"cannot be read: the file has more than {MAX_FILE_BYTES // 2**20} MiB; split it"
        raise _unreadable(message, ProblemKind.TOO_LARGE)
    return decode(content)


def decode(content: bytes) -> str:
    for mark, name in _OTHER_ENCODINGS.items():
        if content.startswith(mark):
            raise _unreadable(f"cannot be read: the file is in {name}; save it in UTF-8", ProblemKind.UNREADABLE)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = content[: exc.start].count(b"\n") + 1
        message = f"cannot be read: byte 0x{content[exc.start]:02x} is not UTF-8; save the file in UTF-8"
        raise _unreadable(message, ProblemKind.UNREADABLE, line) from exc


def _unreadable(message: str, kind: ProblemKind, line: int = 1) -> ReadError:
    return ReadError(Problem(kind=kind, line=line, message=message))


# --- text to documents -----------------------------------------------------------------------------------------------


def scan(text: str, file: Path, first_line: int = 1) -> Reading:
    """Parse a text and report its problems beside what could be read."""
    reading = Reading()
    reader = _Reader(file, first_line, reading)
    try:
        for node in _compose(text, first_line):
            reader.add(node)
    except ReadError as exc:
        if (document := _json_document(text, file, first_line)) is not None and not reading.documents:
            return Reading(documents=[document])
        reading.problems.append(exc.problem)
    return reading


def _json_document(text: str, file: Path, first_line: int) -> Document | None:
    """Read JSON that is no YAML, such as JSON indented with tabs. It has no lines."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return Document(file=file, data=json.loads(text), lines={(): first_line})
    except (ValueError, RecursionError):
        return None


@dataclass(slots=True)
class _Node:
    """A scalar, sequence or mapping, before aliases are expanded."""

    line: int
    tag: str | None
    """As written; None where there is none."""
    text: str | None = None
    plain: bool = False
    items: list[_Node] | None = None
    pairs: list[tuple[_Node, _Node]] | None = None
    open: bool = True
    """Whether the parser is still inside, so that an alias to it would hold itself."""
    size: int = 1
    """The number of values, aliases counted as often as they are used. Known when it is closed."""

    def close(self) -> None:
        self.open = False
        inside = self.items if self.items is not None else [node for pair in self.pairs or () for node in pair]
        self.size = 1 + sum(node.size for node in inside)


# The parser of libyaml is ten times faster; PyYAML's wheels have it.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _compose(text: str, first_line: int) -> Iterator[_Node]:
    """Build each document's tree without recursion; raises ReadError."""
    try:
        yield from _Composer(first_line).documents(yaml.parse(text, Loader=_Loader))
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        line = first_line + (mark.line if mark else 0)
        raise _unreadable(f"not YAML: {exc.problem or exc.context}", ProblemKind.SYNTAX, line) from exc
    except yaml.reader.ReaderError as exc:
        position = exc.position if isinstance(exc.position, int) else 0
        line = first_line + text[:position].count("\n")
        character = f"#x{exc.character:04x}" if isinstance(exc.character, int) else str(exc.character)
        message = f"not YAML: the character {character} is not allowed"
        raise _unreadable(message, ProblemKind.SYNTAX, line) from exc
    except (yaml.YAMLError, ValueError) as exc:
        raise _unreadable(f"not YAML: {exc}", ProblemKind.SYNTAX, first_line) from exc


class _Composer:
    def __init__(self, first_line: int) -> None:
        self._first_line = first_line
        self._anchors: dict[str, _Node] = {}
        self._open: list[_Node] = []
        self._keys: list[_Node | None] = []
        """For each open mapping, the key whose value comes next."""
        self._nodes = 0

    def documents(self, events: Iterator[yaml.Event]) -> Iterator[_Node]:
        root: _Node | None = None
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                root, self._anchors, self._open, self._keys = None, {}, [], []
            elif isinstance(event, yaml.DocumentEndEvent):
                if root is not None and root.size > MAX_VALUES:
                    message = f"not YAML that a cluster takes: its aliases expand to more than {MAX_VALUES} values"
                    raise _unreadable(message, ProblemKind.TOO_LARGE, root.line)
                if root is not None:
                    yield root
            elif isinstance(event, yaml.CollectionEndEvent):
                self._open.pop().close()
                self._keys.pop()
            elif isinstance(event, yaml.NodeEvent):
                node = self._node(event)
                root = root or node
                self._place(node, is_new=not isinstance(event, yaml.AliasEvent))

    def _node(self, event: yaml.NodeEvent) -> _Node:
        line = self._first_line + (event.start_mark.line if event.start_mark is not None else 0)
        self._nodes += 1
        if self._nodes > MAX_VALUES:
            raise _unreadable(f"cannot be read: more than {MAX_VALUES} values; split it", ProblemKind.TOO_LARGE, line)
        if isinstance(event, yaml.AliasEvent):
            found = self._anchors.get(event.anchor or "")
            if found is None:
                raise _unreadable(f"not YAML: the alias *{event.anchor} has no anchor", ProblemKind.SYNTAX, line)
            if found.open:
                message = f"not YAML that a cluster takes: the alias *{event.anchor} holds itself"
                raise _unreadable(message, ProblemKind.SYNTAX, line)
            return found
        node = _Node(line, getattr(event, "tag", None))
        if isinstance(event, yaml.ScalarEvent):
            node.text, node.open = event.value, False
            node.plain = node.tag is None and event.implicit[0]
        elif isinstance(event, yaml.SequenceStartEvent):
            node.items = []
        else:
            node.pairs = []
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _place(self, node: _Node, *, is_new: bool) -> None:
        """Put a node into the innermost open collection, and open it if it is one."""
        if self._open:
            parent = self._open[-1]
            if parent.items is not None:
                parent.items.append(node)
            elif parent.pairs is not None and (key := self._keys[-1]) is not None:
                parent.pairs.append((key, node))
                self._keys[-1] = None
            else:
                self._keys[-1] = node
        if is_new and node.text is None:
            if len(self._open) >= MAX_DEPTH:
                message = f"not YAML that a cluster takes: nested more than {MAX_DEPTH} deep"
                raise _unreadable(message, ProblemKind.TOO_LARGE, node.line)
            self._open.append(node)
            self._keys.append(None)


class _Reader:
    """Expands the trees of a file to documents, and collects problems."""

    def __init__(self, file: Path, first_line: int, reading: Reading) -> None:
        self._file = file
        self._first_line = first_line
        self._reading = reading
        self._lines: dict[FieldPath, int] = {}

    def add(self, root: _Node) -> None:
        self._lines = {(): root.line}
        data = self._value(root, ())
        if data is not None:
            self._reading.documents.append(Document(file=self._file, data=data, lines=self._lines))

    def _problem(self, kind: ProblemKind, line: int, message: str, path: FieldPath = ()) -> None:
        self._reading.problems.append(Problem(kind=kind, line=line, message=message, path=path))

    def _value(self, node: _Node, path: FieldPath) -> Any:
        if len(path) > MAX_DEPTH:
            message = f"not YAML that a cluster takes: its aliases are nested more than {MAX_DEPTH} deep"
            raise _unreadable(message, ProblemKind.TOO_LARGE, node.line)
        if node.tag is not None and node.tag not in _TAGS:
            name = node.tag.removeprefix("tag:yaml.org,2002:")
            written = f"!!{name}" if name != node.tag else node.tag
            message = f"not YAML that a cluster takes: it has no tag {written}"
            self._problem(ProblemKind.TAG, node.line, message, path)
        if node.items is not None:
            return [self._item(each, (*path, index)) for index, each in enumerate(node.items)]
        if node.pairs is not None:
            return self._mapping(node.pairs, path)
        return _scalar(node)

    def _item(self, node: _Node, path: FieldPath) -> Any:
        self._lines[path] = node.line
        return self._value(node, path)

    def _mapping(self, pairs: list[tuple[_Node, _Node]], path: FieldPath) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        seen: dict[str, int] = {}
        reported: set[str] = set()
        for key_node, node in pairs:
            if key_node.text is None:
                message = "not YAML that a cluster takes: a key is a mapping or a list"
                self._problem(ProblemKind.KEY, key_node.line, message, path)
                continue
            if key_node.plain and key_node.text == "<<":
                merged |= self._merged(node, path)
                continue
            key = _key(key_node)
            below = (*path, key)
            if key in seen and key not in reported:
                reported.add(key)
                message = f"the key {key!r} is there twice, first on line {seen[key]}"
                self._problem(ProblemKind.DUPLICATE_KEY, key_node.line, message, below)
            seen.setdefault(key, key_node.line)
            self._lines[below] = key_node.line
            found[key] = self._value(node, below)
        return {**merged, **found} if merged else found

    def _merged(self, node: _Node, path: FieldPath) -> dict[str, Any]:
        """The fields that `<<` takes from one mapping, or from several, of which the first wins."""
        taken: dict[str, Any] = {}
        for each in [node] if node.items is None else node.items:
            value = self._value(each, path)
            if isinstance(value, dict):
                taken = {**value, **taken}
        return taken


# --- scalars ---------------------------------------------------------------------------------------------------------

_STANDARD = "tag:yaml.org,2002:"
_TAGS = {
    "!",
    *(_STANDARD + name for name in ["str", "int", "float", "bool", "null", "timestamp", "binary", "map", "seq"]),
}
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
_INTEGER = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_INFINITY = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", re.ASCII)
_MAX_DIGITS = 400
"""Longer numbers are beyond every type of the API, and slow to convert."""


def _scalar(node: _Node) -> Any:
    text = node.text or ""
    if node.plain:
        return _resolve(text)
    if node.tag in (_STANDARD + "int", _STANDARD + "float", _STANDARD + "bool", _STANDARD + "null"):
        return _resolve(text)
    return text


def _resolve(text: str) -> str | int | float | bool | None:
    if text in _WORDS:
        return _WORDS[text]
    digits = text.replace("_", "")
    if len(digits) <= _MAX_DIGITS:
        if match := _INTEGER.fullmatch(digits):
            return _integer(match)
        if _FLOAT.fullmatch(digits):
            return _json_number(float(digits))
        if _INFINITY.fullmatch(text):
            return float(text.replace(".", ""))
    return text


def _integer(match: re.Match[str]) -> int:
    sign, *numbers = match.groups()
    for number, base in zip(numbers, (16, 2, 8, 10), strict=True):
        if number is not None:
            return int(sign + number, base)
    raise ValueError(f"no number: {match.group()!r}")


def _json_number(value: float) -> int | float:
    """A number as JSON writes it: 3.0 is 3."""
    return int(value) if value.is_integer() and abs(value) < 1e21 else value


def _key(node: _Node) -> str:
    """A key as JSON has it: a string, also where YAML has a number or a boolean."""
    value = _scalar(node)
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)
