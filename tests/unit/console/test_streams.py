"""Server-sent events of the pages: only what has changed, gathered where much happens, ended with the browser."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from darkroom.console import happenings, streams
from darkroom.console.access import Access
from darkroom.console.audit import FileAudit
from darkroom.console.happenings import tail
from darkroom.console.runtime import RuntimeUnavailableError
from darkroom.console.shell import Shell
from darkroom.console.streams import Update, encode, event_stream, refreshed


def test_a_region_is_sent_when_it_has_changed_and_not_otherwise() -> None:
    pictures = iter([{"a": "1", "b": "1"}, {"a": "1", "b": "2"}, {"a": "3", "b": "2"}])

    async def render() -> dict[str, str]:
        return next(pictures)

    async def collect() -> list[tuple[str, str]]:
        found = []
        stream = refreshed(render, every_s=0)
        async for update in stream:
            found.append((update.region, update.html))
            if len(found) == 4:
                await stream.aclose()
        return found

    assert asyncio.run(collect()) == [("a", "1"), ("b", "1"), ("b", "2"), ("a", "3")]


def test_an_update_is_one_line_whatever_its_html_has() -> None:
    sent = encode(Update(region="log", html="<p>\n</p>\r\ndata: x", mode="prepend", keep=3))
    assert sent.count(b"\n") == 2
    document = json.loads(sent.removeprefix(b"data: "))
    assert document == {"region": "log", "html": "<p>\n</p>\r\ndata: x", "mode": "prepend", "keep": 3}


def test_a_stream_says_something_while_nothing_changes_and_closes_what_it_reads_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streams, "KEEP_ALIVE_S", 0.01)
    closed = []

    async def quiet() -> AsyncGenerator[Update, None]:
        try:
            yield Update(region="a", html="1")
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    async def collect() -> list[bytes]:
        body = event_stream(quiet()).body_iterator
        assert isinstance(body, AsyncGenerator)
        found = [await anext(body), await anext(body)]
        await body.aclose()
        return found

    first, second = asyncio.run(collect())
    assert first.startswith(b"data: ")
    assert second == b": nothing changes\n\n"
    assert closed == [True]


def test_a_stream_ends_when_the_runtime_does_not_answer(tmp_path: Path) -> None:
    shell = Shell(access=Access(), audit=FileAudit(path=tmp_path / "a"), runtime=None, sections=())

    async def breaking() -> AsyncGenerator[Update, None]:
        yield Update(region="a", html="1")
        raise RuntimeUnavailableError("the runtime does not answer")

    async def collect() -> list[Any]:
        request = Request({"type": "http", "method": "GET", "path": "/", "headers": []})
        return [chunk async for chunk in shell.stream(request, breaking()).body_iterator]

    assert len(asyncio.run(collect())) == 1


def counted(shown: Sequence[dict[str, Any]], more: int) -> str:
    return f"{[each['number'] for each in shown]} and {more}"


def test_what_comes_at_once_is_one_update_with_the_latest_on_top(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(happenings, "MAX_AT_ONCE", 3)

    async def five() -> AsyncGenerator[dict[str, Any], None]:
        for number in range(5):
            yield {"number": number}

    async def collect() -> list[Update]:
        return [update async for update in tail(five(), counted, "tail")]

    [update] = asyncio.run(collect())
    assert (update.html, update.mode, update.region) == ("[4, 3, 2] and 2", "prepend", "tail")


def test_an_error_of_what_is_followed_is_raised_after_what_came_before_it() -> None:
    async def breaking() -> AsyncGenerator[dict[str, Any], None]:
        yield {"number": 1}
        raise OSError("gone")

    async def collect() -> None:
        updates = tail(breaking(), counted, "tail")
        assert (await anext(updates)).html == "[1] and 0"
        await anext(updates)

    with pytest.raises(OSError, match="gone"):
        asyncio.run(collect())
