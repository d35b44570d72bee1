"""The audit log: who did what, when, and what became of it; refused attempts too."""

from __future__ import annotations

import json
import logging
import os
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

log = logging.getLogger("darkroom.console.audit")


@dataclass(frozen=True, kw_only=True)
class Entry:
    at: float
    """In seconds since the epoch."""
    who: str
    """An operator key's name; `local` where there are no keys; empty for somebody without a valid key."""
    action: str
    target: str
    outcome: str
    """`done`, `refused`, `failed`, or what the action reports."""
    details: Mapping[str, Any] = field(default_factory=dict)


class Audit(Protocol):
    """Methods may block; the console calls them in threads."""

    def record(self, who: str, action: str, target: str, outcome: str, details: Mapping[str, Any]) -> None: ...

    def recent(self, limit: int) -> Sequence[Entry]:
        """Return the latest entries, newest first."""


@dataclass(frozen=True, kw_only=True)
class FileAudit:
    """JSON lines in files that only their owner can read; for one process.

    Lines are only ever appended. A file that has grown to `max_bytes` is renamed with the suffix `.1`, the one before
    it to `.2`, and so on. `kept_files` of these are kept and no more: refused attempts are entries too, and anybody can
    make one.
    """

    path: Path
    max_bytes: int = 16 * 1024**2
    kept_files: int = 4
    _lock: Lock = field(default_factory=Lock)

    def record(self, who: str, action: str, target: str, outcome: str, details: Mapping[str, Any]) -> None:
        entry = Entry(at=time.time(), who=who, action=action, target=target, outcome=outcome, details=details)
        line = json.dumps(asdict(entry), default=str) + "\n"
        with self._lock:
            self._make_room()
            with os.fdopen(self._open(), "a", encoding="utf-8") as file:
                file.write(line)

    def recent(self, limit: int) -> Sequence[Entry]:
        with self._lock:
            lines: list[str] = []
            for path in (self.path, self._older(1)):
                lines += reversed(_last_lines(path, limit - len(lines)))
        return [Entry(**json.loads(line)) for line in lines if line.endswith("\n")]

    def _make_room(self) -> None:
        if not self.path.exists() or self.path.stat().st_size < self.max_bytes:
            return
        for number in range(self.kept_files - 1, 0, -1):
            if self._older(number).exists():
                self._older(number).replace(self._older(number + 1))
        self.path.replace(self._older(1))

    def _older(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def _last_lines(path: Path, limit: int) -> Sequence[str]:
    try:
        with path.open(encoding="utf-8") as file:
            return deque(file, maxlen=max(0, limit))
    except FileNotFoundError:
        return ()


@dataclass(frozen=True, kw_only=True)
class LogAudit:
    """The process' log, which a cluster collects, and the latest entries in memory."""

    kept: deque[Entry] = field(default_factory=lambda: deque(maxlen=1000))

    def record(self, who: str, action: str, target: str, outcome: str, details: Mapping[str, Any]) -> None:
        entry = Entry(at=time.time(), who=who, action=action, target=target, outcome=outcome, details=details)
        log.info(json.dumps({"audit": asdict(entry)}, default=str))
        self.kept.appendleft(entry)

    def recent(self, limit: int) -> Sequence[Entry]:
        return list(self.kept)[:limit]
