"""A newcomer's first minutes: from an empty folder to an event that was answered."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.follower import Follower, blocks_of
from tests.stack import ROOT, eventually

A_MINUTE_S = 60.0
PAGE = ROOT / "docs" / "first-function.md"


@pytest.fixture
def follower(tmp_path: Path) -> Iterator[Follower]:
    folder, home = tmp_path / "shop", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    follower = Follower(folder, home)
    try:
        yield follower
    finally:
        follower.kill()


@pytest.mark.slow
def test_from_an_empty_folder_to_an_answered_event_takes_less_than_a_minute(follower: Follower) -> None:
    began_s = time.monotonic()
    follower.typed("darkroom new project shop && darkroom new function confirm")
    follower.up("darkroom up")
    sent = follower.typed("""darkroom events send shop.confirm.requested --data '{"order": 7}'""")
    found = re.search(r"darkroom events show \w+", sent)
    assert found is not None, sent

    def look() -> str:
        text = follower.typed(found[0])
        return text if "replied by confirm:" in text else ""

    shown = eventually(look, within_s=30, what="the event is answered")
    took_s = time.monotonic() - began_s
    assert took_s < A_MINUTE_S
    for line in (
        r"^shop\.confirm\.requested  [0-9a-f-]{36}$",
        r"^  accepted  \S+ by shop/default, over HTTP$",
        r'^  data      \{"order": 7\}$',
        r"^  confirm  replied$",
        r"^    1\. .* 200 with shop\.confirm\.done$",
        r"^    shop\.confirm\.done  [0-9a-f-]{36}$",
        r'^      data      \{"received": \{"order": 7\}\}$',
    ):
        assert re.search(line, shown, re.MULTILINE), f"no line {line} in\n{shown}"
    follower.stop()


@pytest.mark.slow
def test_every_command_of_the_page_is_typed_and_prints_what_the_page_shows(follower: Follower) -> None:
    for block in blocks_of(PAGE):
        follower.follow(block)
    follower.stop()


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
def test_a_page_that_shows_what_is_not_printed_is_found(
    page: str, is_true: bool, follower: Follower, tmp_path: Path
) -> None:
    (tmp_path / "page.md").write_text(page)
    [block] = blocks_of(tmp_path / "page.md")
    if is_true:
        follower.follow(block)
    else:
        with pytest.raises(AssertionError):
            follower.follow(block)
