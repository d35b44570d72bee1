"""Runs `darkroom restore` against a stack, as an operator would."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from tests.faults.faulty_stack import FaultyStack
from tests.stack import ROOT


def restore(faulty: FaultyStack, *options: str) -> dict[str, Any]:
    """Return the command's report."""
    command = [sys.executable, "-m", "darkroom.cli", "restore", "--json", "--data", str(faulty.stack.data), *options]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=150, check=False)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report
