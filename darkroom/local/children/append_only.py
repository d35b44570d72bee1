"""Mends Valkey's append-only file when a crash or a full disk has torn its end, so that the server starts again.

Valkey itself only forgives a last command that is incomplete; other bytes there keep it from starting. Its own
`valkey-check-aof`, which valkey-server contains, cuts the file after the last whole command.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path

from darkroom.local.errors import StartFailedError
from darkroom.local.reporting import Report

FOLDER = "appendonlydir"
MANIFEST = "appendonly.aof.manifest"
KEPT = "torn"
"""The folder beside it that keeps the files as they were."""
CHECK_TIMEOUT_S = 120.0
_INCREMENTAL = re.compile(r"^file (?P<name>\S+) seq \d+ type i\b", re.M)
_VALID_UP_TO = re.compile(r"ok_up_to=(?P<bytes>\d+)")


def mend(valkey: Path, data: Path, report: Report) -> None:
    """Cut what is torn off the last append-only file, keeping a copy. Raises StartFailedError."""
    file = _last_file(data)
    if file is None:
        return
    try:
        checked = _check(valkey, file)
        found = _VALID_UP_TO.search(checked.stdout)
        if checked.returncode == 0 or found is None:
            # Whole, or damaged in a way that the tool does not know: then the server's own words say more.
            return
        copy = _keep(file, data / KEPT)
        _check(valkey, file, "--fix")
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise StartFailedError(f"redis: {file} is torn and could not be mended: {exc}") from exc
    report(
        "redis.file_mended",
        file=str(file),
        cut_bytes=copy.stat().st_size - file.stat().st_size,
        kept_bytes=file.stat().st_size,
        copy=str(copy),
        detail="the end of the append-only file was torn; what follows the last whole command was cut off",
    )


def _last_file(data: Path) -> Path | None:
    """Return the file that was being appended to; None in a folder without data."""
    try:
        manifest = (data / FOLDER / MANIFEST).read_text(errors="replace")
    except FileNotFoundError:
        return None
    names = [match["name"] for match in _INCREMENTAL.finditer(manifest)]
    file = data / FOLDER / names[-1] if names else None
    return file if file is not None and file.is_file() else None


def _check(valkey: Path, file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["valkey-check-aof", *options, str(file)],
        executable=valkey,
        input="y\n",
        capture_output=True,
        text=True,
        errors="replace",
        timeout=CHECK_TIMEOUT_S,
        check=False,
    )


def _keep(file: Path, folder: Path) -> Path:
    folder.mkdir(mode=0o700, exist_ok=True)
    copy = folder / f"{file.name}.{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}"
    shutil.copy2(file, copy)
    return copy
