"""Finds the event type that somebody probably meant.

Types are compared word by word, not letter by letter: `shop.crop.requested` and `shop.resize.requested` share most of
their letters and are two kinds of event, while `shop.order.place` and `shop.order.placed` are one with a slip.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_SEPARATORS = re.compile(r"[./:_-]+")
_ALIKE = 0.75
"""What difflib calls the ratio; `place` and `placed` have 0.91, `created` and `updated` 0.57."""


def nearest(wanted: str, seen: Iterable[str]) -> str | None:
    """Return the type among those seen that is a slip away from the wanted one; None if none is."""
    found = [(likeness, one) for one in seen if one != wanted and (likeness := _likeness(wanted, one)) > 0]
    return max(found)[1] if found else None


def _likeness(a: str, b: str) -> float:
    """Return 0 for what is not meant to be the same, and at most 1."""
    if a.lower() == b.lower():
        return 1.0
    words_a, words_b = _words(a), _words(b)
    if len(words_a) == len(words_b):
        return _by_word(words_a, words_b)
    shorter, longer = sorted((words_a, words_b), key=len)
    # A prefix or a version that one side leaves out.
    is_within = len(shorter) >= 2 and shorter in (longer[: len(shorter)], longer[-len(shorter) :])
    return len(shorter) / len(longer) if is_within else 0.0


def _by_word(a: list[str], b: list[str]) -> float:
    differing = [(one, other) for one, other in zip(a, b, strict=True) if one != other]
    ratios = [difflib.SequenceMatcher(a=one, b=other, autojunk=False).ratio() for one, other in differing]
    if len(differing) > 1 or any(ratio < _ALIKE for ratio in ratios):
        return 0.0
    return min(ratios, default=1.0)


def _words(text: str) -> list[str]:
    return _SEPARATORS.split(text.lower())
