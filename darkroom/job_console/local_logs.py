"""Reads a job's lines from the log files of a `darkroom up`. Not in the console's image, where there are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

from darkroom.job_console.log_lines import LogLine, LogLines
from darkroom.local.watching.log_lines import is_longer, lines_about

LAST_BYTES = 4 * 1024 * 1024
"""Of each file. A page is looked at again and again; `darkroom logs` reads all of them."""
MOST_LINES = 500
_SHOWN_APART = frozenset({"timestamp", "action", "level", "job_id", "process", "service", "span_id", "trace_id"})


def read_local_log(job_id: UUID, *, folder: Path) -> LogLines:
    if not folder.is_dir():
        return LogLines(lines=(), is_cut=False)
    found = sorted(map(_line, lines_about(str(job_id), folder, last_bytes=LAST_BYTES)), key=lambda line: line.time)
    is_cut = len(found) > MOST_LINES or is_longer(folder, LAST_BYTES)
    return LogLines(lines=found[-MOST_LINES:], is_cut=is_cut)


def _line(fields: dict[str, Any]) -> LogLine:
    shown = " ".join(f"{name}={value}" for name, value in fields.items() if name not in _SHOWN_APART)
    return LogLine(
        time=str(fields.get("timestamp", "")),
        process=str(fields["process"]),
        action=str(fields.get("action", "")),
        fields=shown,
        level=str(fields.get("level", "info")),
    )
