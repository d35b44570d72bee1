"""Turns paths into findings: reads the files, applies each rule, and sorts the findings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from darkroom.check.finding import Finding
from darkroom.manifests.errors import ManifestError
from darkroom.manifests.platform import rules as _rules  # noqa: F401 - registers the rules
from darkroom.manifests.platform.bundle import Bundle
from darkroom.manifests.platform.rule import RULES, Rule
from darkroom.manifests.platform.severity import Severity
from darkroom.manifests.source import Document, parse, read

UNREADABLE = "not-yaml"
"""The id of a finding about a file that could not be read. It is not a rule that can be explained."""
_IGNORE = "check.darkroom.dev/ignore"
"""The annotation that lists, separated by commas, the rules that do not apply to its manifest."""
_SKIPPED_FOLDERS = {".git", ".venv", "node_modules", "charts", "templates"}


def files_in(path: Path) -> list[Path]:
    """The file itself, or every YAML file below a directory, except templates, which are not yet YAML."""
    if not path.is_dir():
        return [path]
    found = [*path.rglob("*.yaml"), *path.rglob("*.yml")]
    return sorted(file for file in found if not _SKIPPED_FOLDERS & set(file.relative_to(path).parts[:-1]))


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
    """Check texts that are not in files. Each has a path, under which its findings are reported."""
    documents: list[Document] = []
    for file, text in texts:
        try:
            documents += parse(text, file)
        except ManifestError as exc:
            return _unreadable(exc)
    return sorted(findings(Bundle(documents, events)))


def findings(bundle: Bundle) -> Iterator[Finding]:
    for each in RULES.values():
        yield from _rule_findings(each, bundle)


def _rule_findings(rule: Rule, bundle: Bundle) -> Iterator[Finding]:
    for manifest, path, message in rule.find_violations(bundle):
        ignored = str(manifest.mapping("metadata", "annotations").get(_IGNORE, ""))
        if rule.id not in {name.strip() for name in ignored.split(",")}:
            yield Finding(
                file=manifest.document.file,
                line=manifest.line(path),
                rule=rule.id,
                severity=rule.severity,
                message=message,
            )


def _unreadable(error: ManifestError) -> list[Finding]:
    return [
        Finding(file=each.file, line=each.line, rule=UNREADABLE, severity=Severity.ERROR, message=each.message)
        for each in error.findings
    ]
