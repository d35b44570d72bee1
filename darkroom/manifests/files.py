"""Finds the files of a path: a file, a directory with a kustomization, or a plain directory of YAML files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from darkroom.manifests import parsing
from darkroom.manifests.core import Kustomization
from darkroom.manifests.errors import Finding, ManifestError
from darkroom.manifests.source import Document, read

KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")


class Files:
    """The documents found under some paths, and every file read for them, including kustomizations."""

    def __init__(self) -> None:
        self.read: list[Path] = []
        self.documents: list[Document] = []
        self.findings: list[Finding] = []

    def add_all(self, paths: Sequence[Path]) -> None:
        for path in paths:
            if path.exists():
                self._add(path)
            else:
                self.findings.append(Finding(file=path, line=1, path="", message="there is no such file or directory"))

    def _add(self, path: Path) -> None:
        if not path.is_dir():
            self._add_file(path)
        elif (kustomization := _kustomization_in(path)) is not None:
            self._add_kustomization(kustomization)
        else:
            for file in sorted(_yaml_files(path)):
                self._add_file(file)

    def _add_file(self, file: Path) -> None:
        self.documents.extend(self._read(file))

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
            self.findings.extend(findings)
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


def _kustomization_in(directory: Path) -> Path | None:
    return next((directory / name for name in KUSTOMIZATIONS if (directory / name).is_file()), None)


def _yaml_files(directory: Path) -> Iterator[Path]:
    yield from directory.glob("*.yaml")
    yield from directory.glob("*.yml")
