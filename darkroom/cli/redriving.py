"""Selecting dead letters and having them done again. What is shown and asked is `deadletters`' business."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from darkroom.adapters.broker import Emitter
from darkroom.adapters.deadletters import DeadLetters, KeptDeadLetter
from darkroom.adapters.jobs import JobStore, NextStep
from darkroom.contract import events
from darkroom.contract.errors import DependencyUnavailableError, EventInvalidError
from darkroom.contract.job_types import job_type_named
from darkroom.contract.jobs import JobRecord, canonical_parameters
from darkroom.events.cloudevents import from_json_object

_PAGE = 100
_SOURCE = "/darkroom/redrive"


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which letters are meant; whatever is not set means all."""

    sequences: tuple[int, ...] = ()
    kind: str | None = None
    """A job's type, or `event` for what is no job."""
    reason: str | None = None
    job_id: str | None = None
    older_than_s: float | None = None
    newer_than_s: float | None = None

    def holds(self, kept: KeptDeadLetter, *, now: datetime) -> bool:
        letter, age_s = kept.letter, (now - kept.kept_at).total_seconds()
        return (
            (not self.sequences or kept.sequence in self.sequences)
            and self.kind in {None, letter.job_type or "event"}
            and self.reason in {None, letter.reason}
            and self.job_id in {None, letter.job_id}
            and (self.older_than_s is None or age_s >= self.older_than_s)
            and (self.newer_than_s is None or age_s < self.newer_than_s)
        )


def selected(letters: DeadLetters, selection: Selection) -> Iterator[KeptDeadLetter]:
    """Oldest first; reads the stream page by page."""
    now, after = datetime.now(UTC), 0
    while page := letters.list(limit=_PAGE, after=after):
        after = page[-1].sequence
        yield from (kept for kept in page if selection.holds(kept, now=now))


class Redrive:
    """Has dead letters done again. A job is queued under its own id, whatever else is not a job is emitted anew.

    The letter is dropped only once the job's record (or the Broker) has it; until then it can be redriven again, and a
    job that is no longer failed is left alone then. So nothing is lost between the two, and nothing is done twice.
    """

    def __init__(self, jobs: JobStore, letters: DeadLetters, emitter: Emitter | None) -> None:
        self._jobs = jobs
        self._letters = letters
        self._emitter = emitter

    def redrive(self, kept: KeptDeadLetter, changes: Mapping[str, str], *, dry_run: bool = False) -> str:
        """What was done, for people. Raises ParametersInvalidError, DependencyUnavailableError."""
        if kept.letter.job_id is not None and kept.letter.job_type is not None:
            return self._redrive_job(kept, UUID(kept.letter.job_id), changes, dry_run=dry_run)
        return self._emit_anew(kept, dry_run=dry_run)

    def _redrive_job(self, kept: KeptDeadLetter, job_id: UUID, changes: Mapping[str, str], *, dry_run: bool) -> str:
        record = self._jobs.get(job_id)
        if record is None:
            return f"job {job_id} is not known any more; the letter stays until it is dropped"
        parameters = _changed(record, changes) if changes else None
        if dry_run:
            return f"would redrive job {job_id}, which is {record.status}"
        recovered = self._jobs.redrive(job_id, parameters=parameters)
        if recovered.step is NextStep.EMIT and recovered.record is not None:
            self._emit(recovered.record)
            done = f"job {job_id} is queued again"
        else:
            done = f"job {job_id} is {record.status}: there is nothing to redrive"
        self._letters.drop(kept.sequence)
        return done

    def _emit(self, record: JobRecord) -> None:
        """Best effort: the record is the outbox, and recovery's sweep emits what is not emitted here."""
        if self._emitter is None:
            return
        try:
            self._emitter.emit(events.requested(record, source=_SOURCE))
            self._jobs.emitted(record.job_id, record.emissions)
        except DependencyUnavailableError:
            return  # within seconds the sweep does it

    def _emit_anew(self, kept: KeptDeadLetter, *, dry_run: bool) -> str:
        if self._emitter is None:
            raise DependencyUnavailableError("broker", "its address is not known; name it with --broker")
        try:
            event = from_json_object(kept.letter.event)
        except EventInvalidError as exc:
            return f"letter {kept.sequence} holds no event that could be sent ({exc.detail}); it stays"
        if dry_run:
            return f"would emit event {event.id} again"
        # Its own id was taken once already; and redriven twice within two minutes, this one is sent once.
        self._emitter.emit(replace(event, id=f"{event.id}.redriven.{kept.sequence}"))
        self._letters.drop(kept.sequence)
        return f"event {event.id} is emitted again"


def _changed(record: JobRecord, changes: Mapping[str, str]) -> dict[str, Any]:
    """The job's parameters with those that were given anew; `name=` takes one away."""
    merged = {**record.parameters, **{name: _value(text) for name, text in changes.items() if text != ""}}
    for name, text in changes.items():
        if text == "":
            merged.pop(name, None)
    return canonical_parameters(job_type_named(record.type).parse(merged))


def _value(text: str) -> Any:
    """JSON where it is JSON (a number, a boolean, a point), else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text
