"""Reads the cost of a running stack's renders, by their own processes' clocks, from the functions' log lines.

On caches and cores shared with twenty processes, the same render takes longer than in a plain loop. Nothing outside the
render could save that difference.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from statistics import fmean


def cpu_ms_each(logs: Path, window: tuple[float, float]) -> float:
    """Return the mean for the jobs that completed between these moments, in seconds since the epoch.

    Raises ValueError when there was none.
    """
    began_at, ended_at = window
    found = [milliseconds for at, milliseconds in _renders(logs) if began_at <= at <= ended_at]
    if not found:
        raise ValueError(f"no job was completed in {ended_at - began_at:.1f} s by the lines in {logs}")
    return fmean(found)


def _renders(logs: Path) -> Iterator[tuple[float, float]]:
    """Yield the moment of each completed job, and its render's CPU time in milliseconds."""
    for path in logs.glob("resize*.log*"):
        for line in path.read_text(errors="replace").splitlines():
            if '"render_cpu_ms"' in line:
                entry = json.loads(line[line.index("{") :])
                yield datetime.fromisoformat(entry["timestamp"]).timestamp(), float(entry["render_cpu_ms"])
