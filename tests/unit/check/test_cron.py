"""Schedules of PingSources."""

from __future__ import annotations

import re

import pytest

from darkroom.manifests.platform.cron import check_schedule, expanded, timezone_of


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


def test_a_schedule_has_no_time_zone_of_its_own_beside_another() -> None:
    check_schedule("TZ=Asia/Tokyo 0 6 * * *")
    with pytest.raises(ValueError, match="no time zone of its own"):
        check_schedule("TZ=Asia/Tokyo 0 6 * * *", timezone="UTC")


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("@hourly", "0 0 * * * *"),
        ("@weekly", "0 0 0 * * 0"),
        ("@annually", "0 0 0 1 1 *"),
        ("*/20 * * * * ?", "0,20,40 * * * * *"),
        ("CRON_TZ=Europe/Berlin 0 6 * * mon-wed", "0 0 6 * * 1,2,3"),
        ("5/20 * * * *", "0 5,25,45 * * * *"),
        ("0 0 * jan,DEC *", "0 0 0 * 1,12 *"),
        # A step above 1 makes a field of days one that is given, so that either of the two fields is enough.
        ("0 0 */10 * 1", "0 0 0 1,11,21,31 * 1"),
        ("0 0 */1 * 1", "0 0 0 * * 1"),
        ("*/99 * * * *", "0 0 * * * *"),
    ],
)
def test_a_schedule_is_expanded_for_other_implementations(text: str, fields: str) -> None:
    assert expanded(text) == fields


def test_a_schedule_that_is_never_due_is_not_expanded() -> None:
    check_schedule(", * * * *")
    with pytest.raises(ValueError, match="never due"):
        expanded(", * * * *")


@pytest.mark.parametrize(
    ("text", "zone"), [("TZ=Asia/Tokyo 0 6 * * *", "Asia/Tokyo"), ("@daily", ""), ("0 6 * * *", "")]
)
def test_the_time_zone_of_a_schedule_is_found(text: str, zone: str) -> None:
    assert timezone_of(text) == zone
