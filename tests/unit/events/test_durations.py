from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.events.durations import parse_go, parse_iso, parse_retention


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30.0),
        ("1m30s", 90.0),
        ("168h", 604800.0),
        ("1.5h", 5400.0),
        (".5s", 0.5),
        ("100ms", 0.1),
        ("250us", 0.00025),
        ("1h0m0s", 3600.0),
        ("0", 0.0),
        ("-42s", -42.0),
        ("+1s", 1.0),
    ],
)
def test_a_go_duration_is_read_in_seconds(text: str, seconds: float) -> None:
    assert parse_go(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "1d", "s", "30 s", "PT30S", "1m-3s", "٣s", "twenty-two-minutes", "."])
def test_what_go_would_not_parse_is_refused_with_the_text(text: str) -> None:
    with pytest.raises(ValueError, match="must be a Go duration such as 30s") as caught:
        parse_go(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("8d", 691200.0),
        ("1d12h", 129600.0),
        ("1.5d", 129600.0),
        ("168h", 604800.0),
        ("30m", 1800.0),
        ("60s", 60.0),
        ("0", 0.0),
        ("off", None),
    ],
)
def test_a_retention_has_days_too_and_off_is_for_ever(text: str, seconds: float | None) -> None:
    assert parse_retention(text) == seconds


@pytest.mark.parametrize("text", ["", "d", "7", "a week", "-7d", "7d-1h", "+7d", "1h7d", "7D", "7dd", "٧d", "OFF"])
def test_no_retention_is_refused_with_the_text(text: str) -> None:
    with pytest.raises(ValueError, match="must be a duration such as 8d, 168h or 30m") as caught:
        parse_retention(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT1S", 1.0),
        ("PT1.5S", 1.5),
        ("PT0,5S", 0.5),
        ("PT1M30S", 90.0),
        ("PT2H", 7200.0),
        ("P1DT2H", 93600.0),
        ("P1W", 604800.0),
        ("PT0S", 0.0),
        ("PT110S", 110.0),
    ],
)
def test_an_iso_duration_is_read_in_seconds(text: str, seconds: float) -> None:
    assert parse_iso(text) == seconds


@pytest.mark.parametrize("text", ["", "P", "PT", "P1DT", "1S", "PT1", "30s", "PT1S1M", "P1Y", "P1M", "-PT1S", "pt1s"])
def test_what_is_no_iso_duration_is_refused_with_the_text(text: str) -> None:
    with pytest.raises(ValueError, match="must be an ISO 8601 duration such as PT1S") as caught:
        parse_iso(text)
    assert repr(text) in str(caught.value)


@given(hours=st.integers(0, 99), minutes=st.integers(0, 59), milliseconds=st.integers(0, 59_999))
def test_both_notations_of_the_same_time_agree(hours: int, minutes: int, milliseconds: int) -> None:
    seconds = f"{milliseconds // 1000}.{milliseconds % 1000:03d}"
    expected = hours * 3600 + minutes * 60 + milliseconds / 1000
    assert parse_go(f"{hours}h{minutes}m{seconds}s") == pytest.approx(expected)
    assert parse_iso(f"PT{hours}H{minutes}M{seconds}S") == pytest.approx(expected)
