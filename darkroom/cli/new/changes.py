"""What is to be written: new files and changed ones, checked before the first of them is touched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click


@dataclass(frozen=True, kw_only=True)
class NewFile:
    path: Path
    """Relative to the root, as all paths here."""
    text: str
    purpose: str = ""


@dataclass(frozen=True, kw_only=True)
class Edit:
    """A file that is there already, with its new text."""

    path: Path
    text: str
    summary: str
    """What changes, as in `added confirm.yaml to`."""


@dataclass(kw_only=True)
class Changes:
    root: Path
    new: list[NewFile] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)

    def add(self, path: str | Path, text: str, purpose: str = "") -> None:
        self.new.append(NewFile(path=Path(path), text=text, purpose=purpose))

    def add_missing(self, path: str | Path, text: str, purpose: str = "") -> None:
        """Add a file that is good as it is where it is there already."""
        if not (self.root / path).exists() and Path(path) not in [file.path for file in self.new]:
            self.add(path, text, purpose)

    def refuse_to_overwrite(self) -> None:
        """Raises click.ClickException, which names every file that is in the way."""
        taken = [str(file.path) for file in self.new if (self.root / file.path).exists()]
        if taken:
            there = "is there already" if len(taken) == 1 else "are there already"
            raise click.ClickException(
                f"nothing was written, because {', '.join(taken)} {there} in {self.root.resolve()}, and no file "
                "is ever overwritten; choose another name or another folder, or move what is in the way"
            )

    def write(self) -> None:
        """Write everything. Raises OSError, which names the file."""
        for file in self.new:
            path = self.root / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            # Refuses a file that has appeared since.
            with path.open("x", encoding="utf-8") as stream:
                stream.write(file.text)
        for edit in self.edits:
            (self.root / edit.path).write_text(edit.text, encoding="utf-8")

    def done(self) -> Iterator[tuple[str, str]]:
        """What was written, and what for."""
        for file in self.new:
            yield f"wrote {file.path}", file.purpose
        for edit in self.edits:
            yield f"{edit.summary} {edit.path}", ""

    def shown(self) -> Iterator[str]:
        """Every file with its whole text, for those who want to see it first."""
        for file in self.new:
            yield f"--- {file.path} (new)\n{file.text}"
        for edit in self.edits:
            yield f"--- {edit.path}: {edit.summary} it\n{edit.text}"
