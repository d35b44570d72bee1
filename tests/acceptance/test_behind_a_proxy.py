"""On a machine whose environment names a proxy, everything on loopback works all the same."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CLI = (sys.executable, "-m", "darkroom.cli")


@pytest.mark.slow
def test_the_demo_does_not_notice_a_proxy() -> None:
    names = ("http_proxy", "https_proxy", "all_proxy")
    nobody = {name: "http://127.0.0.1:9" for lower in names for name in (lower, lower.upper())}
    without = {name: value for name, value in os.environ.items() if name.lower() != "no_proxy"}
    done = subprocess.run([*CLI, "demo"], env={**without, **nobody}, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stdout + done.stderr
