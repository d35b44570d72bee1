"""Encodes a dead letter as the bytes of a message, and decodes it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

from darkroom.adapters.deadletters import DeadLetter

_PAYLOAD_MEMBERS = ("data", "data_base64")


def encode(letter: DeadLetter, *, max_bytes: int) -> bytes:
    """Encode the letter. An event that is too large is kept without its payload: a part is better than nothing."""
    body = _encode(letter)
    if len(body) <= max_bytes:
        return body
    event = {name: value for name, value in letter.event.items() if name not in _PAYLOAD_MEMBERS}
    left_out = f"the event's payload is left out: with it the letter has {len(body)} bytes, the limit is {max_bytes}"
    return _encode(replace(letter, event=event, detail=f"{letter.detail[:1000]} ({left_out})"))


def decode(body: bytes) -> DeadLetter:
    """Decode a letter. Anything may be published to the stream, so a message that is not ours is shown as a letter that
    can be dropped.
    """
    try:
        members: dict[str, Any] = json.loads(body)
        letter = DeadLetter(**members)
        _check_types(vars(letter))
        return letter
    except (ValueError, TypeError, RecursionError) as exc:
        return DeadLetter(reason="unreadable", detail=f"{len(body)} bytes that are no dead letter: {exc}", event={})


_TYPES: dict[str, tuple[type, ...]] = {
    "reason": (str,),
    "detail": (str,),
    "origin": (str,),
    "job_id": (str, type(None)),
    "job_type": (str, type(None)),
    "event": (dict,),
    "attempts": (int,),
}


def _check_types(members: dict[str, Any]) -> None:
    """Raise TypeError if a member is of another type than everybody expects who shows it."""
    wrong = [name for name, types in _TYPES.items() if not isinstance(members[name], types)]
    if wrong:
        raise TypeError(f"of another type than a letter's: {', '.join(wrong)}")


def _encode(letter: DeadLetter) -> bytes:
    return json.dumps(asdict(letter), separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
