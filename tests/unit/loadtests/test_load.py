"""When a load ends early, and when it does not."""

from __future__ import annotations

import pytest

from loadtests.load import HOPELESS_AFTER, Load
from loadtests.shapes import SHAPES


@pytest.fixture
def load() -> Load:
    load = Load(
        shape=SHAPES["burst"],
        scale=1.0,
        settle_s=1.0,
        broker_url=None,
        headers={},
        on_end=lambda job: None,
        pictures={},
    )
    load.begin()
    return load


def refuse(load: Load, answer: str = "429 quota.exceeded") -> None:
    submission = load.ledger.open(["resize 2K"])
    load.ledger.sent(submission)
    load.ledger.refused(submission, answer)
    load.ledger.given_up(submission)


def test_a_load_of_which_nothing_is_accepted_ends_early_and_says_why(load: Load) -> None:
    for _ in range(HOPELESS_AFTER - 1):
        refuse(load)
    assert not load.is_over
    refuse(load, "413 input.too_large")
    assert load.is_over
    assert load.hopeless == (
        "the first 5 submissions were refused, the last answer to each was 413 input.too_large or 429 quota.exceeded"
    )


def test_a_load_of_which_something_is_accepted_goes_on(load: Load) -> None:
    submission = load.ledger.open(["resize 2K"])
    load.ledger.sent(submission)
    load.ledger.accepted(submission, ["a"])
    for _ in range(2 * HOPELESS_AFTER):
        refuse(load)
    assert load.hopeless is None
    assert not load.is_over
