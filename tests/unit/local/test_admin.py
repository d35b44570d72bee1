"""The admin API's list of events."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from darkroom.local.watching.admin import admin_application
from darkroom.local.watching.event_log import EventLog
from darkroom.telemetry.metric import Readings


def asked(query: str, *, events: int) -> tuple[int, Any]:
    """Return the status and the answer to a request for events, of which so many have happened."""
    log = EventLog()
    for number in range(events):
        log.report("part.done", part=number + 1)

    async def status() -> dict[str, Any]:
        return {}

    async def readings() -> Readings:
        return {}

    async def ask() -> tuple[int, Any]:
        async with TestClient(TestServer(admin_application(status, log, readings))) as client:
            answer = await client.get(f"/events{query}")
            return answer.status, await answer.json() if answer.status == 200 else await answer.text()

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("", [1, 2, 3]),
        ("?since=0", [1, 2, 3]),
        ("?since=1", [2, 3]),
        ("?since=3", []),
        ("?since=999999999999999999", []),
        ("?since=01", [2, 3]),
    ],
)
def test_the_events_after_a_number_are_listed(query: str, numbers: list[int]) -> None:
    status, events = asked(query, events=3)
    assert status == 200
    assert [event["number"] for event in events] == numbers
    assert all(event["part"] == event["number"] for event in events)


@pytest.mark.parametrize("since", ["", "-1", "1.5", "x", "%C2%B2", "%D9%A1", "1" * 19, "9" * 5000, "<b>"])
def test_what_is_no_number_is_refused_in_a_sentence(since: str) -> None:
    status, text = asked(f"?since={since}", events=1)
    assert status == 400
    assert text.startswith("since must be an event's number, was ")
    assert len(text) < 200
