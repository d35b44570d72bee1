"""What the manifests hold and the local runtime does not run, or does otherwise. Nothing is dropped silently.

A cluster's refusal is no such record: it is a `Finding`, and stops the load.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

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
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"

    def __str__(self) -> str:
        return f"{self.label} ({self.where}): {self.reason}"

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "file": str(self.file)}

    def as_finding(self) -> Finding:
        return Finding(file=self.file, line=self.line, path="", message=f"{self.label} is left out: {self.reason}")


@dataclass(frozen=True, kw_only=True, order=True)
class LeftOut(Record):
    """A manifest, or a part of one, that the local runtime does not run."""


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


def summarised(records: Iterable[Record]) -> Iterator[str]:
    """Yield a line for each record, or for all records of a kind with the same reason if there are many."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for each in records:
        groups.setdefault((each.kind, each.reason), []).append(each)
    for (kind, reason), group in groups.items():
        if len(group) <= SHOWN_ONE_BY_ONE:
            yield from (str(each) for each in group)
        else:
            names = ", ".join(each.name for each in group[:SHOWN_ONE_BY_ONE])
            yield f"{len(group)} of kind {kind} ({names}, ...): {reason}"
