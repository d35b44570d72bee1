from __future__ import annotations

import pytest

from darkroom.console import formats


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0.0123, "12 ms"),
        (2.4, "2.4 s"),
        (59.9, "59.9 s"),
        (200, "3 min 20 s"),
        (120, "2 min"),
        (7500, "2 h 5 min"),
        (4 * 86400 + 3 * 3600, "4 d 3 h"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert formats.duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (0, "0"), (1234567, "1,234,567"), (7.31, "7.3"), (12.34, "12.3"), (0.042, "0.042")]
)
def test_numbers(value: float | None, text: str) -> None:
    assert formats.number(value) == text


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (512, "512 B"), (27942, "27.3 KiB"), (3 * 2**30, "3 GiB")])
def test_sizes(value: float | None, text: str) -> None:
    assert formats.size(value) == text


def test_how_long_ago() -> None:
    assert formats.ago(99.5, 100) == "now"
    assert formats.ago(37.2, 100) == "1 min 2 s ago"
    assert formats.ago(None, 100) == "–"
