"""Redrives dead letters and failed jobs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import UUID

from darkroom.adapters.broker import Emitter
from darkroom.adapters.deadletters import WEBHOOK, DeadLetters, KeptDeadLetter
from darkroom.adapters.jobs import JobStore, NextStep
from darkroom.contract import events
from darkroom.contract.errors import (
    DependencyUnavailableError,
    EventInvalidError,
    FieldError,
    ParametersInvalidError,
)
from darkroom.contract.job_types import job_type_named
from darkroom.contract.jobs import JobRecord, JobStatus
from darkroom.contract.parameters.canonical import canonical_parameters
from darkroom.events.cloudevents import from_json_object
from darkroom.redriving.keeper_files import KeeperFiles

_SOURCE = "/darkroom/redrive"


class Redrive:
    """Redrives dead letters: a job is queued again under its own id, any other event is emitted again.

    A letter is dropped only once the job's record, or the Broker, has accepted it. Until then it can be redriven again,
    which leaves a job alone that is no longer failed. So nothing is lost, and nothing is done twice.
    """

    def __init__(
        self, jobs: JobStore, letters: DeadLetters, emitter: Emitter | None, keepers: KeeperFiles | None = None
    ) -> None:
        """`keepers` are needed to change parameters."""
        self._jobs = jobs
        self._keepers = keepers
        self._letters = letters
        self._emitter = emitter

    def redrive(self, kept: KeptDeadLetter, changes: Mapping[str, str], *, dry_run: bool = False) -> str:
        """Redrive a letter; returns what was done, for people.

        Raises ParametersInvalidError, DependencyUnavailableError.
        """
        if kept.letter.origin == WEBHOOK:
            return self._owe_webhook_again(kept, dry_run=dry_run)
        if kept.letter.job_id is not None and kept.letter.job_type is not None:
            try:
                job_id = UUID(kept.letter.job_id)
            except ValueError:
                return f"{kept.letter.job_id!r} is not a job's id; the letter is kept until you drop it"
            return self.redrive_job(job_id, changes, kept=kept, dry_run=dry_run)
        return self._emit_again(kept, dry_run=dry_run)

    def redrive_job(
        self, job_id: UUID, changes: Mapping[str, str], *, kept: KeptDeadLetter | None = None, dry_run: bool = False
    ) -> str:
        """Queue a failed job again; `kept` is its letter, which a job that failed at once does not have.

        Raises ParametersInvalidError for changes that its type does not have.
        """
        record = self._jobs.get(job_id)
        if record is None:
            return f"job {job_id} no longer exists{'' if kept is None else '; the letter is kept until you drop it'}"
        parameters = _with_changes(record, changes) if changes else None
        changed = () if parameters is None else _changed(record, parameters)
        presets = None if parameters is None else {n: use for n, use in record.presets.items() if n not in changed}
        if dry_run:
            return f"would redrive job {job_id}, which is {record.status}"
        if parameters is not None and record.status is JobStatus.FAILED:
            if self._keepers is None:
                raise DependencyUnavailableError(
                    "storage", "its address is not known, and the parameters are kept there"
                )
            # Before the redrive: should it be lost with the store, the job is restored as the person wanted it.
            self._keepers.change(record, parameters, presets=presets, changed=[name for name in changed if name])
        recovered = self._jobs.redrive(
            job_id,
            parameters=parameters,
            presets=presets,
            remake=[name for name in changed if name in record.made],
        )
        if recovered.step is NextStep.EMIT and recovered.record is not None:
            self._emit(recovered.record)
            done = f"job {job_id} is queued again"
        elif recovered.step is NextStep.WAIT:
            done = f"job {job_id} is queued again, and waits for room in the Broker's window"
        else:
            done = f"job {job_id} is {record.status}: there is nothing to redrive"
        if kept is not None:
            self._letters.drop(kept.sequence)
        return done

    def _emit(self, record: JobRecord) -> None:
        """Emit the job's event, best effort: the record is the outbox, and recovery's sweep emits it otherwise."""
        if self._emitter is None:
            return
        try:
            self._emitter.emit(events.requested(record, source=_SOURCE))
            self._jobs.emitted(record.job_id, record.emissions)
        except DependencyUnavailableError:
            return  # the sweep emits it within seconds

    def _owe_webhook_again(self, kept: KeptDeadLetter, *, dry_run: bool) -> str:
        """Owe the webhook anew, under its own id: a receiver that has had it recognises it."""
        try:
            event = from_json_object(kept.letter.event)
            (endpoint_id,) = events.webhook_endpoints(event)
        except (EventInvalidError, ValueError):
            return f"letter {kept.sequence} has no webhook to send; it is kept"
        if dry_run:
            return f"would owe webhook {event.id} to {endpoint_id} again"
        is_new = self._jobs.owed.owe_again(event.id, endpoint_id, dict(event.json()))
        if is_new and self._emitter is not None:
            # Best effort: otherwise the next sweep says that it is due.
            with suppress(DependencyUnavailableError):
                self._emitter.emit(events.webhook_due(endpoint_id, source=_SOURCE))
        self._letters.drop(kept.sequence)
        return f"webhook {event.id} is {'' if is_new else 'already '}owed to {endpoint_id}{' again' if is_new else ''}"

    def _emit_again(self, kept: KeptDeadLetter, *, dry_run: bool) -> str:
        if self._emitter is None:
            raise DependencyUnavailableError("broker", "its address is not known; give it with --broker")
        try:
            event = from_json_object(kept.letter.event)
        except EventInvalidError as exc:
            return f"letter {kept.sequence} has no valid event to send ({exc.detail}); it is kept"
        if dry_run:
            return f"would emit event {event.id} again"
        # The original id may be in the duplicate window. If redriven twice within two minutes, this one is sent once.
        self._emitter.emit(replace(event, id=f"{event.id}.redriven.{kept.sequence}"))
        self._letters.drop(kept.sequence)
        return f"event {event.id} is emitted again"


def _with_changes(record: JobRecord, changes: Mapping[str, str]) -> dict[str, Any]:
    """Return the job's parameters with the changes applied; an empty value removes a parameter.

    A rendition's parameter is named NAME.PARAMETER, such as `face.width`.
    """
    job_type = job_type_named(record.type)
    if not record.rendition_names:
        return canonical_parameters(job_type.parse(_merged(record.parameters, changes)))
    renditions = {name: dict(record.parameters["renditions"][name]) for name in record.rendition_names}
    for name, rendition in renditions.items():
        own = {path.removeprefix(f"{name}."): text for path, text in changes.items() if path.startswith(f"{name}.")}
        rendition["parameters"] = _merged(rendition["parameters"], own)
    unknown = [path for path in changes if path.partition(".")[0] not in renditions or "." not in path]
    if unknown:
        message = f"name a rendition and its parameter, such as {next(iter(renditions))}.width"
        raise ParametersInvalidError([FieldError(field=path[:80], message=message) for path in unknown])
    return canonical_parameters(job_type.parse({"renditions": renditions}))


def _merged(parameters: Mapping[str, Any], changes: Mapping[str, str]) -> dict[str, Any]:
    merged = {**parameters, **{name: _value(text) for name, text in changes.items() if text != ""}}
    return {name: value for name, value in merged.items() if changes.get(name) != ""}


def _changed(record: JobRecord, parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the renditions whose parameters changed; the empty name is the whole job of one with one result."""
    if not record.rendition_names:
        return ("",) if record.parameters != parameters else ()
    before, after = record.parameters["renditions"], parameters["renditions"]
    return tuple(name for name in record.rendition_names if before[name] != after[name])


def _value(text: str) -> Any:
    """Parse a value as JSON (a number, a boolean, a point), or return the text if it is not JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return text
