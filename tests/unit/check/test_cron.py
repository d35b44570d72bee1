"""Schedules of PingSources."""

from __future__ import annotations

import re

import pytest

from darkroom.manifests.platform.cron import check_schedule


@pytest.mark.parametrize(
    "text",
    [
        "* * * * *",
        "*/15 * * * * *",
        "*/99 * * * * *",
        "0 0 1,15 * ?",
        "0 9-17/2 * JAN-mar mon-FRI",
        "5/10 * * * *",
        "@hourly",
        "@yearly",
        "CRON_TZ=Europe/Berlin 0 6 * * *",
        "0 0 30 2 *",
    ],
)
def test_a_schedule_is_taken(text: str) -> None:
    check_schedule(text)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("* * * *", "has 4"),
        ("* * * * * * *", "has 7"),
        ("60 * * * *", "minute must be from 0 to 59"),
        ("* 24 * * *", "hour must be from 0 to 23"),
        ("* * 0 * *", "day of the month must be from 1 to 31"),
        ("* * * 13 *", "month must be from 1 to 12"),
        ("* * * * 7", "day of the week must be from 0 to 6"),
        ("* * L * *", "must be a number"),
        ("* * * * 5#3", "must be a number"),
        ("5-1 * * * *", "ends before it begins"),
        ("*/0 * * * *", "at least 1"),
        ("1/2/3 * * * *", "more than one step"),
        ("1-2-3 * * * *", "more than one hyphen"),
        ("-5 * * * *", "must be a number"),
        ("@every 5m", "@every is not supported"),
        ("@noon", "must be one of"),
        ("CRON_TZ=Mars/Olympus 0 6 * * *", "time zone"),
    ],
)
def test_what_is_no_schedule_is_refused_with_the_field_and_its_bounds(text: str, part: str) -> None:
    with pytest.raises(ValueError, match=re.escape(part)):
        check_schedule(text)
