"""A newcomer's first minutes: from an empty folder to an event that was answered."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from darkroom.events.cloudevents import encode_binary, new_event
from tests.stack import RunningStack, eventually

A_MINUTE_S = 60.0


def typed(commands: str, folder: Path) -> str:
    """What the commands print, typed in a terminal whose PATH has `darkroom`."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=A_MINUTE_S,
    )
    assert done.returncode == 0, f"{commands}\nexited with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_from_an_empty_folder_to_an_answered_event_takes_less_than_a_minute(tmp_path: Path) -> None:
    began_s = time.monotonic()
    typed("darkroom new project shop && darkroom new function confirm", tmp_path)
    stack = RunningStack(data=tmp_path / ".darkroom", cwd=tmp_path, verbose=False)
    try:
        stack.start()
        headers, body = encode_binary(new_event("shop.confirm.requested", "/newcomer", {"order": 7}))
        answer = httpx.post(f"{stack.addresses['broker']}/shop/default", headers=headers, content=body, timeout=20)
        assert answer.status_code == 202
        eventually(lambda: stack.trigger("confirm")["delivered"] == 1, within_s=30, what="the event is answered")
        took_s = time.monotonic() - began_s
    finally:
        stack.kill()
    assert took_s < A_MINUTE_S
