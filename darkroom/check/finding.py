"""A violation of a rule, with its file and line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from darkroom.manifests.platform.severity import Severity


@dataclass(frozen=True, kw_only=True, order=True)
class Finding:
    file: Path
    line: int
    """From 1."""
    rule: str
    severity: Severity
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.severity} [{self.rule}] {self.message}"
