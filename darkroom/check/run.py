"""Turns paths into findings: reads the files, applies each rule, and sorts the findings."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from darkroom.check.files import find_files, is_kustomization, kustomize_parts
from darkroom.check.finding import Finding
from darkroom.check.suppressions import Suppressions, read_suppressions
from darkroom.manifests.errors import suggestion
from darkroom.manifests.not_manifests import is_manifest, placeholder_in, reason_to_skip
from darkroom.manifests.platform.bundle import Bundle
from darkroom.manifests.platform.rule import Rule
from darkroom.manifests.platform.rules import RULES
from darkroom.manifests.platform.rules.reading import NOT_A_MANIFEST, NOT_YAML, UNKNOWN_IGNORE
from darkroom.manifests.platform.severity import Severity
from darkroom.manifests.source import Document, ReadError, Reading, read_text, scan

IGNORE_ANNOTATION = "check.darkroom.dev/ignore"
"""The annotation that lists, separated by commas, the rules that do not apply to its manifest."""


MAX_MESSAGE = 500
"""Characters of a message that are kept: it quotes values, and a value may be a whole file."""


@dataclass(kw_only=True)
class Inspection:
    """What was found in which files."""

    findings: list[Finding] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    """The files that were read for manifests."""
    kustomizations: list[Path] = field(default_factory=list)
    """Kustomizations and their parts, which are not checked: what kustomize makes of them is."""


def check(paths: Iterable[Path], *, events: Sequence[str] = ()) -> list[Finding]:
    return inspect(paths, events=events).findings


def check_texts(texts: Iterable[tuple[Path, str]], *, events: Sequence[str] = ()) -> list[Finding]:
    """Check texts that are not in files. Each has a path, under which its findings are reported."""
    return inspect_texts(texts, events=events).findings


def inspect_texts(
    texts: Iterable[tuple[Path, str]], *, events: Sequence[str] = (), rules: Collection[str] | None = None
) -> Inspection:
    gathered = _Gathered()
    for file, text in texts:
        gathered.add_text(file, text)
    return gathered.inspection(events, rules)


def inspect(paths: Iterable[Path], *, events: Sequence[str] = (), rules: Collection[str] | None = None) -> Inspection:
    """Check the files and directories together. `rules` restricts the rules that are applied."""
    found = find_files(list(paths))
    parts = kustomize_parts(found.files)
    gathered = _Gathered()
    for folder, reason in found.unreadable.items():
        gathered.report(NOT_YAML, folder, 1, f"cannot be read: {reason}")
    for file in found.files:
        if is_kustomization(file) or os.path.realpath(file) in parts:
            gathered.kustomizations.append(file)
        else:
            gathered.add_file(file)
    return gathered.inspection(events, rules)


class _Gathered:
    """The documents of all files, with what the reader has to say."""

    def __init__(self) -> None:
        self.kustomizations: list[Path] = []
        self._files: list[Path] = []
        self._documents: list[Document] = []
        self._findings: list[Finding] = []
        self._suppressions: dict[Path, Suppressions] = {}

    def report(self, rule: str, file: Path, line: int, message: str) -> None:
        self._findings.append(_finding(RULES[rule], file, line, message))

    def add_file(self, file: Path) -> None:
        try:
            text = read_text(file)
        except ReadError as exc:
            self._files.append(file)
            self.report(NOT_YAML, file, exc.problem.line, exc.problem.message)
            return
        self.add_text(file, text)

    def add_text(self, file: Path, text: str) -> None:
        self._files.append(file)
        suppressions = self._suppressions[file] = read_suppressions(text)
        for name, line in suppressions.named.items():
            if name not in RULES:
                self.report(UNKNOWN_IGNORE, file, line, f"there is no rule {name!r}{suggestion(name, RULES)}")
        reading = scan(text, file)
        reason = reason_to_skip(file, text, reading) or placeholder_in(reading.documents)
        if reason is not None:
            line, message = reason
            self.report(NOT_A_MANIFEST, file, line, f"skipped: {message}")
            return
        self._documents += [each for each in reading.documents if is_manifest(each.data)]
        for problem in reading.problems:
            self.report(NOT_YAML, file, problem.line, problem.message)
        self._report_other_documents(file, reading)

    def _report_other_documents(self, file: Path, reading: Reading) -> None:
        """Say once per file that documents among its manifests are none."""
        others = [each for each in reading.documents if not is_manifest(each.data)]
        if others:
            count = f"{len(others)} documents are" if len(others) > 1 else "a document is"
            message = f"skipped: {count} without apiVersion and kind"
            self.report(NOT_A_MANIFEST, file, others[0].line(), message)

    def inspection(self, events: Sequence[str], rules: Collection[str] | None = None) -> Inspection:
        found = [*self._findings, *findings(Bundle(self._documents, events))]
        wanted = RULES if rules is None else rules
        kept = {each for each in found if each.rule in wanted and not self._is_suppressed(each)}
        return Inspection(findings=sorted(kept), files=self._files, kustomizations=self.kustomizations)

    def _is_suppressed(self, finding: Finding) -> bool:
        suppressions = self._suppressions.get(finding.file)
        return suppressions is not None and suppressions.covers(finding.line, finding.rule)


# --- rules -----------------------------------------------------------------------------------------------------------


def findings(bundle: Bundle) -> Iterator[Finding]:
    for each in RULES.values():
        yield from _rule_findings(each, bundle)


def _rule_findings(rule: Rule, bundle: Bundle) -> Iterator[Finding]:
    for manifest, path, message, *severity in rule.find_violations(bundle):
        ignored = str(manifest.mapping("metadata", "annotations").get(IGNORE_ANNOTATION, ""))
        if rule.id not in {name.strip() for name in ignored.split(",")}:
            yield _finding(rule, manifest.document.file, manifest.line(path), message, *severity)


def _finding(rule: Rule, file: Path, line: int, message: str, severity: Severity | None = None) -> Finding:
    if len(message) > MAX_MESSAGE:
        message = f"{message[:MAX_MESSAGE]}..."
    return Finding(file=file, line=line, rule=rule.id, severity=severity or rule.severity, message=message)
