"""What is suggested for a duration in another notation."""

from __future__ import annotations

from pathlib import Path

import pytest

from darkroom.check import check_texts
from darkroom.manifests.platform.durations import go_suggestion, period_suggestion
from darkroom.manifests.platform.rules import RULES


@pytest.mark.parametrize(
    ("text", "go", "period"),
    [
        ("1 day", "24h", "PT24H"),
        ("7d", "168h", "PT168H"),
        ("2 Weeks", "336h", "PT336H"),
        ("90 seconds", "90s", "PT90S"),
        ("5min", "5m", "PT5M"),
        ("P1D", "24h", "PT24H"),
        ("1m30s", "90s", "PT90S"),
    ],
)
def test_what_was_meant_is_suggested(text: str, go: str, period: str) -> None:
    assert go_suggestion(text) == f'; did you mean "{go}"?'
    assert period_suggestion(text) == f'; did you mean "{period}"?'


@pytest.mark.parametrize("text", ["", "soon", "0s", "-1s", "30", "0.25s"])
def test_nothing_is_suggested_where_it_is_not_clear(text: str) -> None:
    assert go_suggestion(text) == period_suggestion(text) == ""


@pytest.mark.parametrize(
    ("rule", "old", "new", "near"),
    [
        ("channel-duration", "168h", "1 day", '"24h"'),
        ("delivery-duration", "PT60S", "60s", '"PT1M"'),
    ],
)
def test_the_message_has_the_suggestion(rule: str, old: str, new: str, near: str) -> None:
    text = RULES[rule].good.replace(old, new)
    assert any(near in each.message for each in check_texts([(Path("a.yaml"), text)]) if each.rule == rule)
