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
from tests.acceptance.follower import Follower, blocks_of
from tests.stack import ROOT, RunningStack, eventually

A_MINUTE_S = 60.0
PAGE = ROOT / "docs" / "first-function.md"


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


@pytest.mark.slow
def test_every_command_of_the_page_is_typed_and_prints_what_the_page_shows(tmp_path: Path) -> None:
    folder, home = tmp_path / "shop", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    follower = Follower(folder, home)
    try:
        for block in blocks_of(PAGE):
            follower.follow(block)
        follower.stop()
    finally:
        follower.kill()


def test_every_block_of_the_page_is_followed() -> None:
    assert len(blocks_of(PAGE)) == PAGE.read_text(encoding="utf-8").count("\n```") / 2


@pytest.mark.parametrize(
    ("page", "is_true"),
    [
        ("<!-- type -->\n```console\n$ echo one; echo 2 s\none\n...\n5 s\n```\n", True),
        ("<!-- type -->\n```console\n$ echo one; echo two\ntwo\none\n```\n", False),
        ("<!-- type -->\n```console\n$ echo one\none\n$ false\n```\n", False),
    ],
)
def test_a_page_that_shows_what_is_not_printed_is_found(page: str, is_true: bool, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(page)
    [block] = blocks_of(tmp_path / "page.md")
    follower = Follower(tmp_path, tmp_path)
    if is_true:
        follower.follow(block)
    else:
        with pytest.raises(AssertionError):
            follower.follow(block)
