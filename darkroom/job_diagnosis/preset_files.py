"""The file of presets: gone, or no longer usable. Ingest keeps what it had, and does not start again with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from darkroom.diagnosis import Finding
from darkroom.diagnosis.words import counted
from darkroom.serving.preset_file import PresetFileError, read_presets

_SUBJECT = "presets"
_Version = tuple[int, ...]


class PresetLook:
    """Reads the file when it has changed, as ingest does."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._path = Path(settings["PRESETS_FILE"]) if settings.get("PRESETS_FILE") else None
        self._only = settings.get("PRESETS_ONLY") == "on"
        self._version: _Version | None = None
        self._wrong = ""
        self._count = 0
        """Of the presets when the file was last good."""

    def findings(self) -> Iterator[Finding]:
        if self._path is None:
            if self._only:
                yield _none_allowed("PRESETS_FILE names none")
            return
        version = _version(self._path)
        if version != self._version:
            self._read(self._path)
            self._version = version
        if not version:
            yield self._gone(self._path)
        elif self._wrong:
            yield self._invalid(self._path)
        elif self._only and not self._count:
            yield _none_allowed(f"{self._path} has none")

    def _read(self, path: Path) -> None:
        try:
            self._count, self._wrong = len(read_presets(path)), ""
        except PresetFileError as exc:
            self._wrong = str(exc)

    @property
    def _kept(self) -> str:
        kept = f"the {counted(self._count, 'preset')} that it had" if self._count else "what it had"
        return f"Ingest goes on with {kept}, and does not start again without the file."

    def _gone(self, path: Path) -> Finding:
        return Finding(
            code="presets.gone",
            severity="risk",
            subject=_SUBJECT,
            sentence=f"the presets are gone: PRESETS_FILE names {path}, and there is no such file. {self._kept}",
            remedy=f"Put {path} back, or name another file; ingest reads it within a second.",
        )

    def _invalid(self, path: Path) -> Finding:
        return Finding(
            code="presets.invalid",
            severity="risk",
            subject=_SUBJECT,
            sentence=f"the presets cannot be used: {self._wrong}. {self._kept}",
            remedy=f"Correct {path}; `darkroom check` shows each mistake with its line.",
        )


def _none_allowed(why: str) -> Finding:
    return Finding(
        code="presets.none",
        severity="stop",
        subject=_SUBJECT,
        sentence=f"PRESETS_ONLY is on, and there is no preset ({why}): every request is refused.",
        remedy="Write presets into the file that PRESETS_FILE names, or set PRESETS_ONLY to off.",
    )


def _version(path: Path) -> _Version:
    """Return what changes with the file's content; empty if it cannot be found."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_dev, found.st_size, found.st_mtime_ns
