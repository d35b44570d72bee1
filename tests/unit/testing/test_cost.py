"""The plugin costs nothing in a run that does not use it: pytest imports it in every run of every project."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import json, sys
import pytest
before = set(sys.modules)
import darkroom.testing.plugin
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_the_plugin_imports_nothing_but_itself() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout) == ["darkroom", "darkroom.testing", "darkroom.testing.plugin"]
