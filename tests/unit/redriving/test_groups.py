from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from darkroom.adapters.deadletters import WEBHOOK, DeadLetter, KeptDeadLetter
from darkroom.redriving.groups import GroupKey, group_letters

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def kept(number: int, *, reason: str = "image.corrupt", age: timedelta = timedelta(), **letter: str) -> KeptDeadLetter:
    made = DeadLetter(reason=reason, detail="", event={}, **{"job_type": "resize", **letter})  # type: ignore[arg-type]
    return KeptDeadLetter(sequence=number, kept_at=NOW - age, letter=made)


def test_letters_of_one_error_function_and_age_are_one_group() -> None:
    letters = [kept(1), kept(2, job_type="crop"), kept(3), kept(4, reason="job.timeout"), kept(5)]
    groups = group_letters(letters, now=NOW)
    assert [(group.key.reason, group.key.kind, [one.sequence for one in group.letters]) for group in groups] == [
        ("image.corrupt", "resize", [1, 3, 5]),
        ("image.corrupt", "crop", [2]),
        ("job.timeout", "resize", [4]),
    ]


@pytest.mark.parametrize(
    ("age", "name"),
    [
        (timedelta(), "under an hour"),
        (timedelta(seconds=-5), "under an hour"),
        (timedelta(hours=1), "under a day"),
        (timedelta(days=1), "under a week"),
        (timedelta(days=7), "older"),
    ],
)
def test_ages_begin_where_the_one_before_ends(age: timedelta, name: str) -> None:
    assert GroupKey.of(kept(1, age=age), now=NOW).age == name


def test_a_webhook_and_an_event_without_a_job_are_functions_of_their_own() -> None:
    webhook = KeptDeadLetter(
        sequence=1, kept_at=NOW, letter=DeadLetter(reason="webhook.refused", detail="", event={}, origin=WEBHOOK)
    )
    event = KeptDeadLetter(sequence=2, kept_at=NOW, letter=DeadLetter(reason="event.rejected", detail="", event={}))
    assert [group.key.kind for group in group_letters([webhook, event], now=NOW)] == ["event", "webhook"]


@pytest.mark.parametrize(
    ("origin", "function"),
    [
        ("http://resize.darkroom.svc.cluster.local/", "resize"),
        ("http://[", "event"),
        ("/darkroom/notify", "event"),
        ("", "event"),
    ],
)
def test_an_event_that_was_not_delivered_belongs_to_the_function_that_did_not_take_it(
    origin: str, function: str
) -> None:
    letter = DeadLetter(reason="delivery.failed", detail="", event={}, origin=origin)
    [group] = group_letters([KeptDeadLetter(sequence=1, kept_at=NOW, letter=letter)], now=NOW)
    assert group.key.kind == function


def test_a_groups_key_survives_a_form_whatever_its_reason_is() -> None:
    key = GroupKey.of(kept(1, reason='a|"b"\n<c>'), now=NOW)
    assert json.loads(key.text) == ['a|"b"\n<c>', "resize", "under an hour"]
