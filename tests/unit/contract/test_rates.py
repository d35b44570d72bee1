"""Rates as settings write them, and as header fields report them."""

from __future__ import annotations

import pytest

from darkroom.contract.rates import Rate, RateDecision, fields, joined_fields, retry_after_s


def test_rates_are_written_as_a_count_and_a_period() -> None:
    assert Rate.parse("60/minute") == Rate(limit=60, period_s=60)
    assert Rate.parse("5/second") == Rate(limit=5, period_s=1)
    assert Rate.parse("off") is None


@pytest.mark.parametrize(
    "text", ["", "60", "0/minute", "-1/minute", "60/week", "60 / minute", "60/minutes", "1e3/hour"]
)
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="60/minute"):
        Rate.parse(text)


def test_fields_follow_the_draft() -> None:
    decision = RateDecision(admitted=True, remaining=58, reset_s=1.2)
    assert fields("key", Rate(limit=60, period_s=60), decision) == {
        "ratelimit-policy": '"key";q=60;w=60',
        "ratelimit": '"key";r=58;t=2',
    }


def test_retry_after_is_never_shorter_than_the_wait() -> None:
    assert retry_after_s(RateDecision(admitted=False, remaining=0, reset_s=60, retry_after_s=0.01)) == 1
    assert retry_after_s(RateDecision(admitted=False, remaining=0, reset_s=60, retry_after_s=1.001)) == 2


def test_rates_of_bytes_are_written_as_a_size_and_a_period() -> None:
    assert Rate.parse_of_bytes("256Mi/minute") == Rate(limit=256 * 2**20, period_s=60, unit="content-bytes")
    assert Rate.parse_of_bytes("1000/hour") == Rate(limit=1000, period_s=3600, unit="content-bytes")
    assert Rate.parse_of_bytes("off") is None


@pytest.mark.parametrize("text", ["", "256Mi", "0/minute", "-1Mi/minute", "1Mi/week", "1MiB/minute", "Mi/minute"])
def test_what_is_no_rate_of_bytes_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="256Mi/minute"):
        Rate.parse_of_bytes(text)


def test_the_fields_of_several_policies_are_lists() -> None:
    jobs = fields("key", Rate(limit=60, period_s=60), RateDecision(admitted=True, remaining=58, reset_s=2))
    of_bytes = Rate(limit=1000, period_s=60, unit="content-bytes")
    sizes = fields("key-bytes", of_bytes, RateDecision(admitted=False, remaining=3, reset_s=59.5))
    assert joined_fields([jobs, sizes]) == {
        "ratelimit-policy": '"key";q=60;w=60, "key-bytes";q=1000;w=60;qu="content-bytes"',
        "ratelimit": '"key";r=58;t=2, "key-bytes";r=3;t=60',
    }
