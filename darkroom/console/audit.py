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
    """JSON lines in a file that only its owner can read. Lines are only ever appended."""

    path: Path
    _lock: Lock = field(default_factory=Lock)

    def record(self, who: str, action: str, target: str, outcome: str, details: Mapping[str, Any]) -> None:
        entry = Entry(at=time.time(), who=who, action=action, target=target, outcome=outcome, details=details)
        line = json.dumps(asdict(entry), default=str) + "\n"
        with self._lock, os.fdopen(self._open(), "a", encoding="utf-8") as file:
            file.write(line)

    def recent(self, limit: int) -> Sequence[Entry]:
        try:
            with self.path.open(encoding="utf-8") as file:
                lines = deque(file, maxlen=limit)
        except FileNotFoundError:
            return []
        return [Entry(**json.loads(line)) for line in reversed(lines) if line.endswith("\n")]

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


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
