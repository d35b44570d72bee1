"""A program in an interpreter of its own, for what happens at import, at a process' end, or by its environment."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.stack import ROOT


def python(program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run from the project's root, with our environment but for OpenTelemetry's variables."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        env={**inherited, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=100,
    )
