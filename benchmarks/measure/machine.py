"""Describes the machine of a run, without which its figures mean nothing."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

import psutil


def description() -> list[str]:
    """Return lines of prose for the head of a result."""
    from darkroom.imaging import vips

    version = ".".join(str(vips.library().version(part)) for part in range(3))
    memory_gb = psutil.virtual_memory().total / 1e9
    return [
        f"{os.cpu_count()} cores of {_processor()}, {memory_gb:.0f} GB of memory",
        f"Linux {platform.release()}, Python {platform.python_version()}, libvips {version}",
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, load average before the run {os.getloadavg()[0]:.1f}",
    ]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
