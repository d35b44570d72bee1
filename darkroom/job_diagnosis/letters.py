"""Dead letters that wait for a person, by their reason; pictures that killed their workers one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from darkroom.adapters.deadletters import DeadLetters, KeptDeadLetter
from darkroom.adapters.jobs.condition import STRUCK_CODES
from darkroom.contract.metrics import DEAD_LETTERS
from darkroom.diagnosis import Finding
from darkroom.diagnosis.words import acting
from darkroom.job_diagnosis.attempts import CODE, REMEDY, killed
from darkroom.job_diagnosis.numbers import number

LOOKED_AT = 50
"""Letters whose reason is read, the oldest."""
NAMED = 5
"""Pictures that are named one by one."""
READ_AGAIN_AFTER_S = 5.0
"""Sooner only if their number has changed."""


class LetterLook:
    def __init__(self, letters: Callable[[], DeadLetters], clock: Callable[[], float]) -> None:
        self._letters = letters
        self._clock = clock
        self._count = 0
        self._read_at = 0.0
        self._kept: Sequence[KeptDeadLetter] = ()

    def findings(self) -> list[Finding]:
        letters = self._letters()
        count = int(number(letters.readings(), DEAD_LETTERS))
        if count != self._count or self._clock() - self._read_at >= READ_AGAIN_AFTER_S:
            self._kept = letters.list(limit=LOOKED_AT) if count else ()
            self._count, self._read_at = count, self._clock()
        return [*_killers(self._kept), *_waiting(self._kept, count)]


def _killers(kept: Sequence[KeptDeadLetter]) -> Iterator[Finding]:
    for one in [each for each in kept if _is_killer(each)][:NAMED]:
        letter, job_id = one.letter, one.letter.job_id or ""
        yield Finding(
            code=CODE,
            severity="stop",
            subject=f"job {job_id}",
            sentence=f"{killed(job_id, letter.job_type or '', letter.attempts, letter.reason)}, and was given up.",
            remedy=(
                f"{REMEDY.format(job_id=job_id)} Then `darkroom deadletters redrive {one.sequence}` tries it again, "
                f"and `darkroom deadletters drop {one.sequence}` lets it be."
            ),
            since=one.kept_at.timestamp(),
            link=f"/deadletters/{one.sequence}",
        )


def _waiting(kept: Sequence[KeptDeadLetter], count: int) -> Iterator[Finding]:
    others = [one for one in kept if not _is_killer(one)]
    if not others:
        return
    reasons = Counter(one.letter.reason for one in others).most_common()
    of_them = f"Of the oldest {len(kept)}: " if count > len(kept) else ""
    yield Finding(
        code="deadletters.waiting",
        severity="delay",
        subject="dead letters",
        sentence=(
            f"{acting(count, 'dead letter', 'wait')} for a person. {of_them}"
            f"{', '.join(f'{reason} {times}' for reason, times in reasons)}."
        ),
        remedy=(
            "`darkroom deadletters list` shows them. Mend the cause, then `darkroom deadletters redrive`; or drop what "
            "is not wanted any more."
        ),
        since=others[0].kept_at.timestamp(),
        link="/deadletters",
    )


def _is_killer(one: KeptDeadLetter) -> bool:
    return one.letter.reason in STRUCK_CODES and one.letter.job_id is not None
