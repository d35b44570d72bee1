"""Groups dead letters by what a person decides about: the error, the function, the age. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from darkroom.adapters.deadletters import DeadLetter, KeptDeadLetter
from darkroom.redriving.letters import EVENT, kind

AGES = (("under an hour", 3600.0), ("under a day", 86400.0), ("under a week", 7 * 86400.0), ("older", float("inf")))
"""Names of the ages, each up to so many seconds."""


@dataclass(frozen=True, kw_only=True, order=True)
class GroupKey:
    reason: str
    kind: str
    """A job's type, which is its function's name; `webhook`; of another event the function that did not take it, or
    `event` where that is not known."""
    age: str

    @property
    def text(self) -> str:
        """The key as a form sends it."""
        return json.dumps([self.reason, self.kind, self.age])

    @classmethod
    def of(cls, kept: KeptDeadLetter, *, now: datetime) -> GroupKey:
        age_s = (now - kept.kept_at).total_seconds()
        age = next(name for name, most_s in AGES if age_s < most_s)
        return cls(reason=kept.letter.reason, kind=_function(kept.letter), age=age)


def _function(letter: DeadLetter) -> str:
    """Return whose letter it is. The Broker names the subscriber by its address, such as
    http://resize.darkroom.svc.cluster.local.
    """
    known = kind(letter)
    if known != EVENT or "://" not in letter.origin:
        return known
    try:
        host = urlsplit(letter.origin).hostname or ""
    except ValueError:
        return known
    return host.partition(".")[0] or known


@dataclass(frozen=True, kw_only=True)
class LetterGroup:
    key: GroupKey
    letters: Sequence[KeptDeadLetter]
    """Oldest first."""

    @property
    def oldest(self) -> datetime:
        return self.letters[0].kept_at

    @property
    def newest(self) -> datetime:
        return self.letters[-1].kept_at


def group_letters(letters: Iterable[KeptDeadLetter], *, now: datetime) -> list[LetterGroup]:
    """Return the groups, the largest first. `letters` come oldest first."""
    found: dict[GroupKey, list[KeptDeadLetter]] = {}
    for kept in letters:
        found.setdefault(GroupKey.of(kept, now=now), []).append(kept)
    groups = [LetterGroup(key=key, letters=members) for key, members in found.items()]
    return sorted(groups, key=lambda group: (-len(group.letters), group.key))
