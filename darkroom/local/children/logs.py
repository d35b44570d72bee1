"""Writes the output lines of child processes to one file per name in `.darkroom/logs/`, and optionally to the console.

The reader of a process's output calls the sink for its name. File sizes are bounded; the previous file is kept.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeAlias

LineSink: TypeAlias = Callable[[str], None]
ConsoleSink: TypeAlias = Callable[[str, str], None]
"""Receives the name and the line."""

FailureSink: TypeAlias = Callable[[str, OSError], None]

MAX_FILE_BYTES = 16 * 1024 * 1024


class LogDirectory:
    def __init__(
        self,
        path: Path,
        *,
        console: ConsoleSink | None = None,
        max_file_bytes: int = MAX_FILE_BYTES,
        on_failure: FailureSink = lambda name, error: None,
    ) -> None:
        """`on_failure` is told once when a file can no longer be written, as on a full disk; its lines are dropped."""
        self._path = path
        self._console = console
        self._max_file_bytes = max_file_bytes
        self._files: dict[str, IO[bytes]] = {}
        self._on_failure = on_failure
        self._failing: set[str] = set()
        path.mkdir(parents=True, exist_ok=True, mode=0o700)

    def sink(self, name: str) -> LineSink:
        def write(line: str) -> None:
            self._write(name, line)
            if self._console is not None:
                self._console(name, line)

        return write

    def path(self, name: str) -> Path:
        """Return a name's file. A slash, as between namespace and name, becomes a dot."""
        return self._path / f"{name.replace('/', '.')}.log"

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        self._files.clear()

    def _write(self, name: str, line: str) -> None:
        try:
            file = self._files.get(name) or self._open(name)
            file.write(line.encode(errors="backslashreplace") + b"\n")
            if file.tell() >= self._max_file_bytes:
                self._rotate(name)
        except OSError as exc:
            if name not in self._failing:
                self._failing.add(name)
                self._on_failure(name, exc)
            return
        self._failing.discard(name)

    def _open(self, name: str) -> IO[bytes]:
        # Unbuffered, so that the last line can be read while something is going wrong.
        # What functions print is for the owner only.
        descriptor = os.open(self.path(name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.fchmod(descriptor, 0o600)
        self._files[name] = os.fdopen(descriptor, "ab", buffering=0)
        return self._files[name]

    def _rotate(self, name: str) -> None:
        self._files.pop(name).close()
        path = self.path(name)
        path.replace(path.with_name(f"{path.name}.1"))
