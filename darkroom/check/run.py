"""Turns paths into findings: reads the files, applies each rule, and sorts the findings."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from darkroom.check.files import find_files, is_kustomization, kustomize_parts
from darkroom.check.finding import Finding
from darkroom.check.not_manifests import describe, has_placeholders, in_helm_chart, is_manifest, is_template
from darkroom.check.suppressions import Suppressions, read_suppressions
from darkroom.manifests.errors import suggestion
from darkroom.manifests.platform.bundle import Bundle
from darkroom.manifests.platform.rule import Rule
from darkroom.manifests.platform.rules import RULES
from darkroom.manifests.platform.rules.reading import NOT_A_MANIFEST, NOT_YAML, UNKNOWN_IGNORE
from darkroom.manifests.platform.severity import Severity
from darkroom.manifests.source import Document, Problem, ProblemKind, ReadError, Reading, read_text, scan

IGNORE_ANNOTATION = "check.darkroom.dev/ignore"
"""The annotation that lists, separated by commas, the rules that do not apply to its manifest."""


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
        reason = _no_manifest_reason(file, text, reading)
        if reason is not None:
            line, message = reason
            self.report(NOT_A_MANIFEST, file, line, message)
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


def _no_manifest_reason(file: Path, text: str, reading: Reading) -> tuple[int, str] | None:
    """The line and the reason why a file is skipped as a whole; None if it is to be checked."""
    first = reading.problems[0] if reading.problems else None
    if in_helm_chart(file):
        return 1, "skipped: a template of a Helm chart; render it first, with helm template"
    if first is not None and first.kind in {ProblemKind.SYNTAX, ProblemKind.KEY} and is_template(text, first.line):
        return first.line, "skipped: a template, which is not YAML yet; render it first"
    manifests = [each for each in reading.documents if is_manifest(each.data)]
    for each in manifests:
        if has_placeholders(each.data):
            return each.line(), "skipped: a template, whose placeholders are not filled in; render it first"
    if manifests or (not reading.documents and first is None):
        return None
    if first is not None and not _is_harmless(first, reading):
        return None
    line = reading.documents[0].line() if reading.documents else 1
    return line, f"skipped: {describe(file, reading.documents)}"


def _is_harmless(problem: Problem, reading: Reading) -> bool:
    """Whether a problem says nothing about a manifest, because the file was read and holds none."""
    readable = {ProblemKind.TAG, ProblemKind.KEY, ProblemKind.DUPLICATE_KEY}
    return problem.kind in readable and bool(reading.documents)


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
    return Finding(file=file, line=line, rule=rule.id, severity=severity or rule.severity, message=message)
