"""Finds a job's lines in the log files of a run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def lines_about(text: str, folder: Path, *, last_bytes: int | None = None) -> Iterator[dict[str, Any]]:
    """Yield the lines that have this text, as their fields and `process`: file by file, oldest first in each.

    With `last_bytes`, only the end of each file is read.
    """
    for file in sorted(folder.glob("*.log*")):
        with file.open("rb") as opened:
            if last_bytes is not None and file.stat().st_size > last_bytes:
                opened.seek(-last_bytes, 2)
                opened.readline()
            for line in opened:
                if text.encode() in line:
                    shown = line.decode("utf-8", errors="backslashreplace").rstrip("\n")
                    yield {**_parsed(shown), "process": file.name.partition(".log")[0]}


def is_longer(folder: Path, size_bytes: int) -> bool:
    """Report whether a log file has more than so many bytes."""
    return any(file.stat().st_size > size_bytes for file in folder.glob("*.log*"))


def _parsed(text: str) -> dict[str, Any]:
    """Return a log line's fields; a line that is no JSON object is its own action."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {"action": text}
