"""A dead letter as it is shown."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from darkroom.adapters.deadletters import WEBHOOK, DeadLetter, KeptDeadLetter
from darkroom.contract.jobs import timestamp

EVENT = "event"
"""The kind of a letter without a job."""


def document(kept: KeptDeadLetter) -> dict[str, Any]:
    return {"number": kept.sequence, "kept_at": timestamp(kept.kept_at), **asdict(kept.letter)}


def kind(letter: DeadLetter) -> str:
    """Return what was given up: a job, by its type, or a webhook, or another event."""
    return letter.job_type or (WEBHOOK if letter.origin == WEBHOOK else EVENT)


def subject(kept: KeptDeadLetter) -> str:
    """Return the id of the job, or of the event that is no job."""
    return kept.letter.job_id or str(kept.letter.event.get("id", ""))
