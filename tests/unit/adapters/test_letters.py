from __future__ import annotations

import pytest

from darkroom.adapters.deadletters import DeadLetter
from darkroom.adapters.deadletters.letters import decode, encode

MAX_BYTES = 1024


def test_a_letter_survives_its_message() -> None:
    letter = DeadLetter(reason="image.crashed", detail="it did", event={"id": "1", "data": {"a": 1}}, attempts=3)
    assert decode(encode(letter, max_bytes=MAX_BYTES)) == letter


def test_a_letter_that_is_too_large_is_kept_without_its_payload() -> None:
    letter = DeadLetter(reason="x", detail="", event={"id": "1", "data": "a" * MAX_BYTES})
    kept = decode(encode(letter, max_bytes=MAX_BYTES))
    assert kept.event == {"id": "1"}
    assert str(MAX_BYTES) in kept.detail


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b"{}", b'{"reason": "x", "unknown": 1}', b"null"])
def test_an_entry_that_is_no_letter_can_still_be_looked_at(body: bytes) -> None:
    letter = decode(body)
    assert letter.reason == "unreadable"
    assert str(len(body)) in letter.detail


@pytest.mark.parametrize(
    "body",
    [
        b'{"reason": 5, "detail": "", "event": {}}',
        b'{"reason": "r", "detail": null, "event": {}}',
        b'{"reason": "r", "detail": "", "event": []}',
        b'{"reason": "r", "detail": "", "event": {}, "attempts": "many"}',
        b'{"reason": "r", "detail": "", "event": {}, "job_id": 7}',
        b"[1]",
        b"[" * 100_000,
    ],
)
def test_members_of_other_types_make_a_letter_that_can_be_dropped(body: bytes) -> None:
    letter = decode(body)
    assert (letter.reason, letter.event) == ("unreadable", {})
