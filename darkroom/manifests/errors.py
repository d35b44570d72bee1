"""Errors in manifests: each finding has its location, and all findings are reported together."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from darkroom.errors import DarkroomError


@dataclass(frozen=True, kw_only=True, order=True)
class Finding:
    """One error in a manifest, with its location."""

    file: Path
    line: int
    """Counted from 1."""
    path: str
    """The field, such as `spec.delivery.retry`; empty for the whole document."""
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}"
        return f"{where}: {self.path}: {self.message}" if self.path else f"{where}: {self.message}"


class ManifestError(DarkroomError):
    """The local runtime or a cluster would not run the manifests. `findings` lists every error."""

    code = "manifests.invalid"
    status = 500
    title = "Invalid manifests"

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(sorted(set(findings)))
        super().__init__("\n".join(str(finding) for finding in self.findings))


def suggestion(wrong: str, known: Iterable[str], *, likeness: float = 0.6) -> str:
    """Return `; did you mean "min-scale"?`, or an empty string if no known name is similar.

    `likeness`, from 0 to 1, is what difflib calls the cutoff.
    """
    # Wrong case is the most common mistake, and difflib treats it as different letters.
    by_lower_case = {name.lower(): name for name in known}
    near = difflib.get_close_matches(wrong.lower(), by_lower_case, n=1, cutoff=likeness)
    return f'; did you mean "{by_lower_case[near[0]]}"?' if near else ""
