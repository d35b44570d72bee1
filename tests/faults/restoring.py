"""Runs `darkroom restore` against a stack, as an operator would."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from tests.faults.faulty_stack import FaultyStack
from tests.stack import ROOT


class RestoreFailedError(Exception):
    """The message is what the command said."""


def restore(faulty: FaultyStack, *options: str) -> dict[str, Any]:
    """Return the command's report. Raises RestoreFailedError."""
    command = [sys.executable, "-m", "darkroom.cli", "restore", "--json", "--data", str(faulty.stack.data), *options]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=150, check=False)
    if done.returncode != 0:
        raise RestoreFailedError(f"{done.returncode}: {done.stderr}")
    report: dict[str, Any] = json.loads(done.stdout)
    return report
