"""Decides what happens to an unfinished job: emit it again while attempts are left, else fail and keep it.

The broker may lose anything; a job that is not final is found here by its deadline. Nothing depends on a dead letter:
it only makes recovery faster.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from darkroom import telemetry
from darkroom.adapters.deadletters import DeadLetter
from darkroom.adapters.jobs import NextStep, Recovered
from darkroom.contract import events, traces
from darkroom.contract.errors import (
    DarkroomError,
    DependencyUnavailableError,
    EventInvalidError,
    JobUnreadableError,
)
from darkroom.contract.job_types import EVENT_TYPES
from darkroom.contract.jobs import JobRecord
from darkroom.events import tracing
from darkroom.events.cloudevents import CloudEvent, json_object
from darkroom.serving.answers import Done, EventAnswer, TryAgain
from darkroom.serving.delivery_spans import Arrival
from darkroom.serving.job_messages import parse_message
from darkroom.serving.log import get_logger, log_fields
from darkroom.serving.outbox import Outbox, lane_of
from darkroom.serving.resources import Resources
from functions.recovery.erasing import Eraser
from functions.recovery.obsolete import is_obsolete
from functions.recovery.owed_keepers import OwedKeepers
from functions.recovery.webhooks import WebhookSweep, is_wake_up

log = get_logger()

WAKE_UP = "dev.knative.sources.ping"
JOBS_AT_ONCE = 200
"""Jobs that the store hands out in one answer."""
SWEEP_BUDGET_S = 20.0
"""The longest time for a sweep, however much is due and however slow a dependency is. Jobs that it was handed and did
not reach are soon overdue again.
"""


@dataclass
class _Sweep:
    handed_out: int = 0
    done: int = 0
    failures: list[DependencyUnavailableError] = field(default_factory=list)


class Recovery:
    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._outbox = Outbox(resources)
        self._eraser = Eraser(resources)
        self._owed_keepers = OwedKeepers(resources)
        self._webhooks = WebhookSweep(resources)
        self._source = f"/darkroom/{resources.settings.service}"

    def handle(self, event: CloudEvent) -> EventAnswer:
        with Arrival(event).processing(None) as span:
            answer = self._handle(event)
            if isinstance(answer, TryAgain):
                span.failed("try_again", answer.reason)
            return answer

    def _handle(self, event: CloudEvent) -> EventAnswer:
        try:
            if event.type == WAKE_UP:
                self._wake_up()
            elif event.type in EVENT_TYPES:
                self._take_dead_letter(event)
            elif event.type == events.EVENT_REJECTED and is_obsolete(event, self._resources.jobs):
                log.info("rejection.obsolete", job_id=event.subject)
            elif event.type == events.EVENT_REJECTED:
                self._keep(_rejection(event), key=f"{event.source}:{event.id}")
            elif is_wake_up(event):
                log.warning("deadletter.wake_up", event_type=event.type, subject=event.subject)
            else:
                self._keep(_undelivered(event), key=f"{event.source}:{event.id}")
        except DependencyUnavailableError as exc:
            log.warning("recovery.deferred", event_type=event.type, error=exc.detail)
            return TryAgain(reason=exc.detail, retry_after_s=exc.retry_after_s)
        return Done()

    def _wake_up(self) -> None:
        """Erase, and see to the webhooks, also when the sweep fails: none needs what the others do."""
        try:
            self._sweep()
        finally:
            try:
                self._webhooks.sweep()
            finally:
                self._eraser.erase_due()

    def _sweep(self) -> None:
        """Recover overdue jobs, and emit what waits in a lane that has room, until nothing is due. Several sweeps may
        run at once: each job is handed to one of them. A failure does not stop the other jobs that were handed out.
        """
        give_up_at = time.monotonic() + SWEEP_BUDGET_S
        jobs, sweep = self._resources.jobs, _Sweep()
        while overdue := jobs.recover_overdue(limit=JOBS_AT_ONCE, error=_never_claimed_error()):
            self._act_on_all(overdue, sweep, give_up_at)
            if sweep.failures or len(overdue) < JOBS_AT_ONCE:
                break
        while not sweep.failures and (turns := jobs.next_in_line(limit=JOBS_AT_ONCE)):
            handed_out = [Recovered(step=NextStep.EMIT, record=record) for record in turns]
            self._act_on_all(handed_out, sweep, give_up_at)
        self._write_owed_keepers(sweep)
        if sweep.handed_out:
            log.info("sweep.done", jobs=sweep.done, of=sweep.handed_out)
        if sweep.failures:
            raise sweep.failures[0]

    def _write_owed_keepers(self, sweep: _Sweep) -> None:
        try:
            self._owed_keepers.write_all()
        except DependencyUnavailableError as exc:
            sweep.failures.append(exc)

    def _act_on_all(self, handed_out: Sequence[Recovered], sweep: _Sweep, give_up_at: float) -> None:
        sweep.handed_out += len(handed_out)
        for recovered in handed_out:
            if time.monotonic() > give_up_at:
                sweep.failures.append(DependencyUnavailableError("sweep", f"cut off after {SWEEP_BUDGET_S:g} s"))
                return
            try:
                self._act(recovered, origin="sweep")
                sweep.done += 1
            except DependencyUnavailableError as exc:
                sweep.failures.append(exc)

    def _take_dead_letter(self, event: CloudEvent) -> None:
        try:
            message = parse_message(event)
        except EventInvalidError as exc:
            self._keep(_undelivered(event, exc), key=f"{event.source}:{event.id}")
            return
        log.warning("deadletter.taken", job_id=str(message.job_id), code=event.extensions.get("knativeerrorcode"))
        try:
            recovered = self._resources.jobs.recover(message.job_id, _never_claimed_error())
        except JobUnreadableError as exc:
            # The job stays as it is, for a version that can read it; so does its letter, for a person.
            self._keep(_undelivered(event, exc), key=f"{event.source}:{event.id}")
            return
        if recovered.record is None:
            # The job's record is gone; the letter is all that is left of it.
            self._keep(_undelivered(event), key=f"{event.source}:{event.id}")
        self._act(recovered, origin="dead-letter")
        if recovered.record is not None and recovered.step is not NextStep.EMIT:
            # It has ended, or waits for better times; in any case it has left the window.
            self._outbox.advance(lane_of(recovered.record))

    def _act(self, recovered: Recovered, *, origin: str) -> None:
        record = recovered.record
        if recovered.unreadable is not None:
            job = recovered.unreadable
            log.warning("job.unreadable", job_id=str(job.job_id), job_type=job.type, reason=job.reason, origin=origin)
        if record is None:
            return
        if recovered.step is NextStep.EMIT:
            with _recovery_span("emit again", record, origin), _log_ids(record):
                self._emit_again(record, origin)
        elif recovered.step is NextStep.FAILED:
            with _recovery_span("give up", record, origin), _log_ids(record):
                self._give_up(record, origin)

    def _emit_again(self, record: JobRecord, origin: str) -> None:
        """Emit the job's event. If the broker does not take it, the job stays overdue and the next sweep tries
        again.
        """
        self._resources.emitter.emit(events.requested(record, source=self._source))
        self._resources.jobs.emitted(record.job_id, record.emissions)
        log.info("job.emitted_again", job_id=str(record.job_id), emission=record.emissions, origin=origin)

    def _give_up(self, record: JobRecord, origin: str) -> None:
        log.error("job.given_up", job_id=str(record.job_id), attempts=record.attempts, origin=origin)
        self._keep(_given_up(record, self._source, origin), key=f"{record.job_id}:{record.fence}")
        # Only after keeping it: should that fail, a later sweep hands the job out again.
        self._resources.jobs.kept(record.job_id)
        self._announce_end(record)

    def _announce_end(self, record: JobRecord) -> None:
        """Emit the event of the job's end. Best effort, like every reply: the job's record is authoritative."""
        try:
            self._resources.emitter.emit(events.ended(record, source=self._source))
        except DependencyUnavailableError as exc:
            log.warning("job.end_not_told", job_id=str(record.job_id), error=exc.detail)

    def _keep(self, letter: DeadLetter, *, key: str) -> None:
        if self._is_erased(letter):
            return
        sequence = self._resources.dead_letters.keep(letter, key=key)
        log.info("deadletter.kept", sequence=sequence, reason=letter.reason, job_id=letter.job_id)

    def _is_erased(self, letter: DeadLetter) -> bool:
        """Return whether the letter's job was erased. If that happens between here and the letter's storing, the second
        pass of the erasure finds the letter."""
        try:
            job_id = UUID(letter.job_id or "")
        except ValueError:
            return False
        return self._resources.jobs.is_erased(job_id)


def _recovery_span(name: str, record: JobRecord, origin: str) -> AbstractContextManager[telemetry.Span]:
    """Open a span in the job's own trace, linked to the sweep or the dead letter that led here."""
    here = tracing.current()
    parent = traces.of_job(record.trace, record.redrives)
    links = [] if here is None else [here]
    return telemetry.entry(name, parent, kind="producer", links=links, origin=origin, emission=record.emissions)


def _log_ids(record: JobRecord) -> AbstractContextManager[None]:
    return log_fields(job_id=str(record.job_id), request_id=record.request_id)


def _never_claimed_error() -> DarkroomError:
    """Return the error of a job that was never claimed, and so has none from an attempt."""
    return DependencyUnavailableError("broker", "the job was emitted again and again, and no function took it")


def _given_up(record: JobRecord, source: str, origin: str) -> DeadLetter:
    return DeadLetter(
        reason=record.error.code if record.error else "internal",
        detail=record.error.message if record.error else "",
        event=json_object(events.requested(record, source=source)),
        job_id=str(record.job_id),
        job_type=record.type,
        attempts=record.attempts,
        origin=origin,
    )


def _rejection(event: CloudEvent) -> DeadLetter:
    data: Any = event.json()
    rejected = data.get("event") if isinstance(data, dict) else None
    return DeadLetter(
        reason=events.EVENT_REJECTED,
        detail=str(data.get("reason", "")) if isinstance(data, dict) else "",
        event=rejected if isinstance(rejected, dict) else json_object(event),
        job_id=event.subject,
        origin=event.source,
    )


def _undelivered(event: CloudEvent, exc: DarkroomError | None = None) -> DeadLetter:
    code = event.extensions.get("knativeerrorcode", "")
    return DeadLetter(
        reason="delivery.failed",
        detail=exc.detail if exc else f"the subscriber answered {code}" if code else "the deliveries failed",
        event=json_object(event),
        job_id=event.subject,
        origin=str(event.extensions.get("knativeerrordest", "")),
    )
