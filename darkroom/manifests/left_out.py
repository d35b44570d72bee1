"""What the manifests hold and the local runtime does not run, or does otherwise. Nothing is dropped silently.

A cluster's refusal is no such record: it is a `Finding`, and stops the load.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from darkroom.manifests.errors import Finding
from darkroom.manifests.source import Document, FieldPath

FILE = "file"
"""The kind of a file that holds no manifest."""
SHOWN_ONE_BY_ONE = 3
"""Records of one kind with the same text that are told apart; more of them are counted."""


@dataclass(frozen=True, kw_only=True, order=True)
class Record:
    """One thing about one manifest, with its location."""

    file: Path
    line: int
    kind: str
    namespace: str
    name: str
    reason: str

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}"

    @property
    def label(self) -> str:
        """Return how messages name the manifest: `Trigger shop/confirm`."""
        return f"{self.kind} {self.qualified_name}"

    @property
    def qualified_name(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    def __str__(self) -> str:
        return f"{self.label} ({self.where}): {self.reason}"

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "file": str(self.file)}

    def as_finding(self) -> Finding:
        return Finding(file=self.file, line=self.line, path="", message=f"{self.label} is left out: {self.reason}")


@dataclass(frozen=True, kw_only=True, order=True)
class LeftOut(Record):
    """A manifest, or a part of one, that the local runtime does not run."""

    matters: bool = True
    """Whether the project runs otherwise than with it. On one machine it does not without a NetworkPolicy, for one."""

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> LeftOut:
        """Parse what `as_dict` makes."""
        return cls(**{**row, "file": Path(row["file"])})


@dataclass(frozen=True, kw_only=True, order=True)
class Note(Record):
    """Something about a manifest that the local runtime ignores or does otherwise than a cluster."""


RecordT = TypeVar("RecordT", bound=Record)


def record(kind: type[RecordT], document: Document, path: FieldPath, reason: str) -> RecordT:
    """Make a record about a document, however incomplete the document is."""
    data: Any = document.data if isinstance(document.data, dict) else {}
    metadata: Any = data.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    name = metadata.get("name") or f"{metadata.get('generateName') or ''}?"
    return kind(
        file=document.file,
        line=document.line(path),
        kind=str(data.get("kind") or "document"),
        namespace=str(metadata.get("namespace") or "default"),
        name=str(name),
        reason=reason,
    )


class Line(NamedTuple):
    """What is said about one record, or about several together."""

    kind: str
    names: str
    where: str
    reason: str


def lines(records: Iterable[Record]) -> Iterator[Line]:
    """Yield a line for each record, or for many of a kind with the same reason; and one for all that do not matter."""
    groups: dict[tuple[str, str], list[Record]] = {}
    unneeded: dict[str, list[Record]] = {}
    for each in records:
        if isinstance(each, LeftOut) and not each.matters:
            unneeded.setdefault(each.kind, []).append(each)
        else:
            groups.setdefault((each.kind, each.reason), []).append(each)
    for (kind, reason), group in groups.items():
        if len(group) <= SHOWN_ONE_BY_ONE:
            yield from (Line(kind, each.qualified_name, each.where, reason) for each in group)
        else:
            yield Line(kind, f"{len(group)} of them: {_names(group)}", str(group[0].file), reason)
    if unneeded:
        count = sum(map(len, unneeded.values()))
        names = ", ".join(f"{kind} ({_names(group)})" for kind, group in sorted(unneeded.items()))
        yield Line(f"{count} only for a cluster:", names, "", "one machine does not need them")


def _names(group: Sequence[Record]) -> str:
    names = [each.name for each in group]
    return ", ".join(names if len(names) <= SHOWN_ONE_BY_ONE else [*names[:SHOWN_ONE_BY_ONE], "..."])


def summarised(records: Iterable[Record]) -> Iterator[str]:
    """Yield the lines of `lines` as text."""
    for line in lines(records):
        where = f" ({line.where})" if line.where else ""
        yield f"{line.kind} {line.names}{where}: {line.reason}"


def refused_if_strict(records: Iterable[LeftOut]) -> list[Finding]:
    """Return what a project that must run completely lacks."""
    return [each.as_finding() for each in records if each.matters]
