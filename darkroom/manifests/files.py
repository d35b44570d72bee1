"""Finds the files of a path: a file, a directory with a kustomization, or a plain directory of YAML files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from darkroom.manifests import parsing
from darkroom.manifests.core import RENDER_FIRST, Kustomization
from darkroom.manifests.errors import Finding, ManifestError
from darkroom.manifests.left_out import FILE, LeftOut, record
from darkroom.manifests.not_manifests import is_manifest, placeholder_in, reason_to_skip
from darkroom.manifests.source import Document, ReadError, read, read_text, scan

KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__", "vendor"})


class Files:
    """The documents found under some paths, and every file read for them, including kustomizations."""

    def __init__(self) -> None:
        self.read: list[Path] = []
        self.documents: list[Document] = []
        self.findings: list[Finding] = []
        self.left_out: list[LeftOut] = []
        """Files that hold no manifest."""

    def add_all(self, paths: Sequence[Path]) -> None:
        for path in paths:
            if path.exists():
                self._add(path)
            else:
                self.findings.append(Finding(file=path, line=1, path="", message="there is no such file or directory"))

    def _add(self, path: Path) -> None:
        if not path.is_dir():
            if path.name in KUSTOMIZATIONS:
                self._add_kustomization(path)
            else:
                self._add_file(path)
        elif (kustomization := _kustomization_in(path)) is not None:
            self._add_kustomization(kustomization)
        else:
            for file in _yaml_files(path) or _folders_with_yaml(path):
                self._add(file)

    def _add_file(self, file: Path) -> None:
        if file in self.read:
            return  # Two paths lead to it.
        self.read.append(file)
        try:
            text = read_text(file)
        except ReadError as exc:
            self.findings.append(Finding(file=file, line=exc.problem.line, path="", message=exc.problem.message))
            return
        reading = scan(text, file)
        if (reason := reason_to_skip(file, text, reading)) is not None:
            self._skip(file, *reason)
        elif reading.problems:
            self.findings += [
                Document(file=file, data=None, lines={(): problem.line}).finding(problem.path, problem.message)
                for problem in reading.problems
            ]
        else:
            self._take(file, reading.documents)

    def _take(self, file: Path, documents: Sequence[Document]) -> None:
        """Take the manifests of a file; what stands among them and is none is left out once."""
        for document in documents:
            if (placeholder := placeholder_in([document])) is not None:
                self.left_out.append(record(LeftOut, document, (), placeholder[1]))
            elif is_manifest(document.data):
                self.documents.append(document)
        others = [each for each in documents if not is_manifest(each.data)]
        if others:
            count = f"{len(others)} documents are" if len(others) > 1 else "a document is"
            self._skip(file, others[0].line(), f"{count} without apiVersion and kind")

    def _skip(self, file: Path, line: int, reason: str) -> None:
        self.left_out.append(LeftOut(file=file, line=line, kind=FILE, namespace="", name=file.name, reason=reason))

    def _read(self, file: Path) -> list[Document]:
        self.read.append(file)
        try:
            return read(file)
        except ManifestError as exc:
            self.findings.extend(exc.findings)
            return []

    def _add_kustomization(self, file: Path) -> None:
        if file in self.read:
            self.findings.append(Finding(file=file, line=1, path="", message="is reached twice"))
            return
        for document in self._read(file):
            kustomization, findings = parsing.parse(Kustomization, document)
            self.findings.extend(_with_command(each, file.parent) for each in findings)
            if kustomization is not None:
                self._add_resources(kustomization, document)

    def _add_resources(self, kustomization: Kustomization, document: Document) -> None:
        for index, resource in enumerate(kustomization.resources):
            # Resolves ../base, so that each file has one name, which also reads well in an error.
            path = Path(os.path.normpath(document.file.parent / resource))
            if path.exists():
                self._add(path)
            else:
                remote = (
                    " (remote ones are not fetched)" if "://" in resource or resource.startswith("github.com") else ""
                )
                message = f"there is no such file or directory{remote}: {resource}"
                self.findings.append(document.finding(("resources", index), message))


def _with_command(finding: Finding, folder: Path) -> Finding:
    """Say by which command a kustomization is rendered, if that is what is wrong with it."""
    if not finding.message.endswith(RENDER_FIRST):
        return finding
    tool, hint = "kubectl kustomize", " (neither kubectl nor kustomize is on the PATH)"
    if shutil.which("kubectl"):
        hint = ""
    elif shutil.which("kustomize"):
        tool, hint = "kustomize build", ""
    command = f"{tool} {folder} | darkroom up --manifests -"
    return replace(finding, message=f"{finding.message}; render it first with {command}{hint}")


def _kustomization_in(directory: Path) -> Path | None:
    return next((directory / name for name in KUSTOMIZATIONS if (directory / name).is_file()), None)


def _yaml_files(directory: Path) -> list[Path]:
    found = [*directory.glob("*.yaml"), *directory.glob("*.yml")]
    # Editors leave locks such as .#broker.yaml, which are links to nowhere.
    return sorted(file for file in found if file.is_file() and not file.name.startswith("."))


def _folders_with_yaml(directory: Path) -> Iterator[Path]:
    """Yield the folders below one that has no YAML of its own."""
    for folder in sorted(each for each in directory.iterdir() if each.is_dir() and not each.is_symlink()):
        if not folder.name.startswith(".") and folder.name not in _SKIPPED_FOLDERS:
            yield folder
