"""Selects dead letters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from darkroom.adapters.deadletters import DeadLetters, KeptDeadLetter
from darkroom.redriving.letters import kind

_PAGE = 100


@dataclass(frozen=True, kw_only=True)
class Selection:
    """A selection of letters. A field that is not set selects all."""

    sequences: tuple[int, ...] = ()
    kind: str | None = None
    """A job's type, `webhook`, or `event` for a letter without a job."""
    reason: str | None = None
    job_id: str | None = None
    """A job's id, or its beginning."""
    older_than_s: float | None = None
    newer_than_s: float | None = None

    def matches(self, kept: KeptDeadLetter, *, now: datetime) -> bool:
        letter, age_s = kept.letter, (now - kept.kept_at).total_seconds()
        return (
            (not self.sequences or kept.sequence in self.sequences)
            and self.kind in {None, kind(letter)}
            and self.reason in {None, letter.reason}
            and (self.job_id is None or (letter.job_id or "").startswith(self.job_id.lower()))
            and (self.older_than_s is None or age_s >= self.older_than_s)
            and (self.newer_than_s is None or age_s < self.newer_than_s)
        )


def select(letters: DeadLetters, selection: Selection) -> Iterator[KeptDeadLetter]:
    """Yield the selected letters, oldest first, reading the stream page by page."""
    now, after = datetime.now(UTC), 0
    while page := letters.list(limit=_PAGE, after=after):
        after = page[-1].sequence
        yield from (kept for kept in page if selection.matches(kept, now=now))
