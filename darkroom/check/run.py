"""From paths to findings: read what is there, ask each rule, and put what they found in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from darkroom.check import rules as _rules  # noqa: F401 - enters the rules
from darkroom.check.bundle import Bundle
from darkroom.check.finding import Finding, Severity
from darkroom.check.rule import RULES, Rule
from darkroom.manifests.errors import ManifestError
from darkroom.manifests.source import Document, parse, read

UNREADABLE = "not-yaml"
"""Not a rule that can be explained: the file could not be read."""
_IGNORE = "check.darkroom.dev/ignore"
"""An annotation: rules, separated by commas, that do not hold for this manifest."""
_FOLDERS_LEFT_OUT = {".git", ".venv", "node_modules", "charts", "templates"}


def files_in(path: Path) -> list[Path]:
    """A file itself; of a directory every YAML file below it, but for templates that are no YAML yet."""
    if not path.is_dir():
        return [path]
    found = [*path.rglob("*.yaml"), *path.rglob("*.yml")]
    return sorted(file for file in found if not _FOLDERS_LEFT_OUT & set(file.relative_to(path).parts[:-1]))


def check(paths: Iterable[Path], *, events: Sequence[str] = ()) -> list[Finding]:
    documents: list[Document] = []
    unreadable: list[Finding] = []
    for file in dict.fromkeys(file for path in paths for file in files_in(path)):
        try:
            documents += read(file)
        except ManifestError as exc:
            unreadable += _unreadable(exc)
    return sorted([*unreadable, *findings(Bundle(documents, events))])


def check_texts(texts: Iterable[tuple[Path, str]], *, events: Sequence[str] = ()) -> list[Finding]:
    """The same of what is not in files: each text with the name that its findings shall bear."""
    documents: list[Document] = []
    for file, text in texts:
        try:
            documents += parse(text, file)
        except ManifestError as exc:
            return _unreadable(exc)
    return sorted(findings(Bundle(documents, events)))


def findings(bundle: Bundle) -> Iterator[Finding]:
    for each in RULES.values():
        yield from _of(each, bundle)


def _of(asked: Rule, bundle: Bundle) -> Iterator[Finding]:
    for manifest, path, message in asked.look(bundle):
        ignored = str(manifest.mapping("metadata", "annotations").get(_IGNORE, ""))
        if asked.id not in {name.strip() for name in ignored.split(",")}:
            yield Finding(
                file=manifest.document.file,
                line=manifest.line(path),
                rule=asked.id,
                severity=asked.severity,
                message=message,
            )


def _unreadable(error: ManifestError) -> list[Finding]:
    return [
        Finding(file=each.file, line=each.line, rule=UNREADABLE, severity=Severity.ERROR, message=each.message)
        for each in error.findings
    ]
