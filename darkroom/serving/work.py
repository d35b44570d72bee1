"""The life of one delivery: parse, claim, fetch, render, store, complete, reply. No HTTP here.

A delivery has one of four answers: an empty success, a reply event, try again, or a rejection, which is also a reply
event.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar
from uuid import UUID

from darkroom import telemetry
from darkroom.adapters.jobs import (
    LEASE_S,
    AlreadyFinal,
    AttemptsSpent,
    ClaimAnswer,
    Held,
    Lease,
    Outcome,
    Unknown,
)
from darkroom.adapters.jobs.attempt_errors import lost_attempt_error, timeout_error
from darkroom.adapters.jobs.erasing import Erased
from darkroom.adapters.jobs.result_metadata import result_metadata
from darkroom.contract import events
from darkroom.contract.errors import (
    DarkroomError,
    DependencyUnavailableError,
    EventInvalidError,
    PictureError,
    RejectedError,
)
from darkroom.contract.job_types import job_type_of_event
from darkroom.contract.jobs import JobMessage, JobRecord, result_key
from darkroom.contract.parameters.job import JobParameters
from darkroom.contract.parameters.renditions import RenditionsParameters
from darkroom.errors import must_pass
from darkroom.events.cloudevents import CloudEvent
from darkroom.imaging import Rendition, probe
from darkroom.problems import unexpected
from darkroom.serving.answers import Done, EventAnswer, TryAgain
from darkroom.serving.delivery_spans import Arrival, record_wait
from darkroom.serving.heartbeat import Heartbeat
from darkroom.serving.job_messages import parse_message
from darkroom.serving.log import get_logger, log_fields
from darkroom.serving.outbox import Outbox, lane_of
from darkroom.serving.overlays import fetch_overlay
from darkroom.serving.picture import Picture, Renditions
from darkroom.serving.rendition_work import RenditionsAttempt
from darkroom.serving.resources import Resources
from darkroom.serving.steps import LeaseLostError, StoredResult, result_of, step
from darkroom.telemetry.workers import is_gone, worker_name

log = get_logger()

ParametersT = TypeVar("ParametersT", bound=JobParameters)
MadeT = TypeVar("MadeT", bound=Rendition | Renditions, covariant=True)


@dataclass(frozen=True, kw_only=True)
class Job(Generic[ParametersT]):
    """The job as the function sees it."""

    id: UUID
    parameters: ParametersT
    attempt: int


Work = Callable[[Job[ParametersT], Picture], MadeT]


class Worker(Generic[ParametersT]):
    """Processes the jobs of one event type with one function."""

    def __init__(self, event_type: str, work: Work[ParametersT, Rendition | Renditions], resources: Resources) -> None:
        self._job_type = job_type_of_event(event_type)
        self._work: Callable[[Job[ParametersT], Picture], Any] = work
        self._resources = resources
        self._source = f"/darkroom/{resources.settings.service}"

    @cached_property
    def _outbox(self) -> Outbox:
        return Outbox(self._resources)

    @cached_property
    def _heartbeat(self) -> Heartbeat:
        return Heartbeat(self._resources.jobs)

    def handle(self, event: CloudEvent) -> EventAnswer:
        arrival = Arrival(event)
        try:
            message = self._valid_message(event)
        except RejectedError as exc:
            with arrival.processing(None) as span:
                span.failed(exc.code, exc.detail)
                log.warning("event.rejected", event_id=event.id, event_type=event.type, error=exc.detail)
                return Done(reply=events.rejected(event, exc.detail, source=self._source))
        with log_fields(job_id=str(message.job_id), request_id=message.metadata.request_id):
            return self._process(arrival, message)

    def _process(self, arrival: Arrival, message: JobMessage) -> EventAnswer:
        try:
            claim = self._claim(message.job_id)
        except DependencyUnavailableError as exc:
            with arrival.processing(None) as span:
                return self._defer(message, exc, span)
        with arrival.processing(_record_of(claim)) as span:
            if isinstance(claim, Lease):
                record_wait(arrival, span, claim.record)
            try:
                record = _record_of(claim)
                if record is not None and record.type != self._job_type.name:
                    return self._refuse_type(claim, record, arrival.event)
                answer = self._answer_claim(claim, arrival.event, message)
            except DependencyUnavailableError as exc:
                return self._defer(message, exc, span)
            if isinstance(answer, TryAgain):
                span.failed("try_again", answer.reason)
            return answer

    def _defer(self, message: JobMessage, error: DependencyUnavailableError, span: telemetry.Span) -> TryAgain:
        log.warning("delivery.deferred", job_id=str(message.job_id), error=error.detail)
        span.failed(error.code, error.detail)
        return TryAgain(reason=error.detail, retry_after_s=error.retry_after_s)

    def _claim(self, job_id: UUID) -> ClaimAnswer:
        """Claim the job. If the worker that holds it is known to be dead, its lease is not waited for but released, so
        that its death costs the job a redelivery and not ten seconds."""
        jobs = self._resources.jobs
        claim = jobs.claim(job_id, worker=worker_name())
        if not isinstance(claim, Held) or not is_gone(claim.worker):
            return claim
        job_timeout_s = self._resources.settings.job_timeout_s
        error = lost_attempt_error(lasted_s=claim.attempt_s, job_timeout_s=job_timeout_s)
        log.warning("worker.gone", job_id=str(job_id), worker=claim.worker, fence=claim.lease.fence, code=error.code)
        jobs.release(claim.lease, error, counts=True)
        return jobs.claim(job_id, worker=worker_name())

    def _valid_message(self, event: CloudEvent) -> JobMessage:
        if event.type != self._job_type.event_type:
            raise EventInvalidError(f"this function takes {self._job_type.event_type}, not {event.type}")
        message = parse_message(event)
        if message.type != self._job_type.name:
            raise EventInvalidError(f"the event's type is {event.type}, but its job's type is {message.type}")
        message.parsed_parameters()
        return message

    def _answer_claim(self, claim: ClaimAnswer, event: CloudEvent, message: JobMessage) -> EventAnswer:
        match claim:
            case Lease():
                return self._run_attempt(claim)
            case AlreadyFinal():
                log.info("delivery.duplicate", job_id=str(message.job_id), status=claim.record.status)
                return Done()
            case Held():
                return TryAgain(reason=f"the job is held by {claim.worker}", retry_after_s=int(claim.lease_left_s) + 1)
            case AttemptsSpent():
                self._let_others_follow(claim.record)
                log.error("job.failed", job_id=str(message.job_id), code=_code(claim.record))
                return Done(reply=events.ended(claim.record, source=self._source))
            case Erased():
                log.info("delivery.erased", job_id=str(message.job_id))
                return Done()
            case Unknown():
                reason = f"no such job: {message.job_id}"
                log.warning("event.rejected", event_id=event.id, event_type=event.type, error=reason)
                return Done(reply=events.rejected(event, reason, source=self._source))

    def _refuse_type(self, claim: ClaimAnswer, record: JobRecord, event: CloudEvent) -> EventAnswer:
        """Refuse an event that names a job of another type, which goes on as if it had never come."""
        if isinstance(claim, Lease):
            other = DependencyUnavailableError("worker", f"an event of {self._job_type.name} named this job")
            self._resources.jobs.release(claim, other, counts=False)
        reason = f"job {record.job_id} is no {self._job_type.name}, it is a {record.type}"
        log.warning("event.rejected", event_id=event.id, event_type=event.type, error=reason)
        return Done(reply=events.rejected(event, reason, source=self._source))

    def _run_attempt(self, lease: Lease) -> EventAnswer:
        job_id = str(lease.job_id)
        log.info("job.claimed", job_id=job_id, attempt=lease.record.attempts, fence=lease.fence)
        try:
            outcome, record, facts = self._complete_or_fail(lease)
        except DependencyUnavailableError as exc:
            return self._give_back(lease, exc, counts=False)
        except SystemExit as exc:
            self._give_back_at_exit(lease, exc)
            raise
        except BaseException as exc:
            if must_pass(exc):
                raise
            log.exception("job.attempt_crashed", job_id=job_id)
            return self._give_back(lease, unexpected(exc), counts=True)
        self._let_others_follow(record)
        return self._answer_for_end(lease, outcome, record, **facts)

    def _let_others_follow(self, record: JobRecord | None) -> None:
        if record is not None and record.makes_room:
            self._outbox.advance(lane_of(record))

    def _complete_or_fail(self, lease: Lease) -> tuple[Outcome, JobRecord | None, dict[str, float]]:
        """Complete or fail the job. Returns the outcome, the record, and extra fields for the log line."""
        jobs = self._resources.jobs
        try:
            # Not around the end of the job: a renewal that arrives after it would look like a lost lease.
            with self._heartbeat.renewing(lease):
                stored = self._make_result(lease)
        except (RejectedError, PictureError) as exc:
            with telemetry.span("fail", code=exc.code):
                outcome, record = jobs.fail(lease, exc)
            return outcome, record, {}
        except LeaseLostError:
            return Outcome.STALE, jobs.get(lease.job_id), {}
        with telemetry.span("complete"):
            outcome, record = jobs.complete(lease, stored.result, stored.timings_ms)
        return outcome, record, {"render_cpu_ms": stored.render_cpu_ms}

    def _make_result(self, lease: Lease) -> StoredResult:
        """Render and store what the job is to make. Raises LeaseLostError."""
        if self._job_type.parameters is RenditionsParameters:
            return RenditionsAttempt(self._resources, lease, self._render_each(lease.record)).run()
        return self._make_one(lease)

    def _make_one(self, lease: Lease) -> StoredResult:
        record, began = lease.record, time.monotonic()
        storage, limits = self._resources.storage, self._resources.settings.limits
        timings_ms: dict[str, int] = {}
        with step(timings_ms, "fetch") as span:
            body = storage.get(record.storage_key, max_bytes=limits.max_input_bytes)
            overlay = self._overlay(record)
            span.set(size_bytes=len(body) + len(overlay or b""))
        with step(timings_ms, "render") as span:
            cpu_began_s = time.process_time()
            rendition = self._render(record, body, overlay)
            render_cpu_ms = round((time.process_time() - cpu_began_s) * 1000, 1)
            span.set(
                format=rendition.extension, width_px=rendition.width, height_px=rendition.height, cpu_ms=render_cpu_ms
            )
        if time.monotonic() - began > LEASE_S and self._resources.jobs.renew(lease) is Outcome.STALE:
            # Another worker may already have stored the result, perhaps with a redrive's parameters.
            raise LeaseLostError
        key = result_key(record.job_id, rendition.extension)
        with step(timings_ms, "store") as span:
            span.set(size_bytes=len(rendition.body))
            result = result_of(key, rendition)
            storage.put(key, rendition.body, content_type=rendition.content_type, metadata=result_metadata(result))
        return StoredResult(result=result, timings_ms=timings_ms, render_cpu_ms=render_cpu_ms)

    def _overlay(self, record: JobRecord) -> bytes | None:
        keys = record.parsed_parameters().overlay_keys
        if not keys:
            return None
        return fetch_overlay(self._resources.storage, keys[0], self._resources.settings.limits)

    def _render(self, record: JobRecord, body: bytes, overlay: bytes | None) -> Rendition:
        limits = self._resources.settings.limits
        picture = Picture(body=body, facts=probe(body, limits, all_frames=False), limits=limits, overlay=overlay)
        rendition: Rendition = self._work(self._job(record, record.parsed_parameters()), picture)
        return rendition

    def _render_each(self, record: JobRecord) -> Callable[[RenditionsParameters, Picture], Renditions]:
        def render(missing: RenditionsParameters, picture: Picture) -> Renditions:
            renditions: Renditions = self._work(self._job(record, missing), picture)
            return renditions

        return render

    def _job(self, record: JobRecord, parameters: JobParameters) -> Job[ParametersT]:
        # The event type was checked against the job's type, and the job's type against the parameters' model.
        return Job(id=record.job_id, parameters=parameters, attempt=record.attempts)  # type: ignore[arg-type]

    def _answer_for_end(self, lease: Lease, outcome: Outcome, record: JobRecord | None, **facts: float) -> EventAnswer:
        # Only the holder of a fence ends a job under it: an end found under our fence is ours, and its answer was lost.
        is_our_end = record is not None and record.status.is_final and record.fence == lease.fence
        if record is not None and (outcome is Outcome.DONE or is_our_end):
            log.info(f"job.{record.status}", job_id=str(lease.job_id), code=_code(record), **record.timings_ms, **facts)
            return Done(reply=events.ended(record, source=self._source))
        log.warning("job.stale_write_refused", job_id=str(lease.job_id), fence=lease.fence)
        if record is None or record.status.is_final:
            return Done()
        return TryAgain(reason="another worker has claimed the job", retry_after_s=5)

    def _give_back(self, lease: Lease, error: DarkroomError, *, counts: bool) -> EventAnswer:
        with telemetry.span("release", code=error.code, counts=counts):
            outcome = self._resources.jobs.release(lease, error, counts=counts)
        if outcome is Outcome.STALE:
            # The job had already ended, but the answer was lost. Or the worker was paused, and in that time its request
            # timed out and its lease ran out.
            return self._answer_for_end(lease, outcome, self._resources.jobs.get(lease.job_id))
        log.warning("job.released", job_id=str(lease.job_id), code=error.code, error=error.detail, counts=counts)
        retry_after_s = error.retry_after_s if isinstance(error, DependencyUnavailableError) else 1
        return TryAgain(reason=error.detail, retry_after_s=retry_after_s)

    def _give_back_at_exit(self, lease: Lease, exit: SystemExit) -> None:
        """Release the job when the process exits. gunicorn's timeout is a SIGABRT, which raises an exit with a code,
        and SIGKILL follows within a second. A worker that is told to quit exits without a code: then neither the
        picture nor the job is to blame."""
        if exit.code:
            self._give_back(lease, timeout_error(self._resources.settings.job_timeout_s), counts=True)
        else:
            self._give_back(lease, DependencyUnavailableError("worker", "it was told to quit"), counts=False)


def _record_of(claim: ClaimAnswer) -> JobRecord | None:
    match claim:
        case Lease() | AlreadyFinal() | AttemptsSpent():
            return claim.record
        case Held():
            return claim.lease.record
        case Erased() | Unknown():
            return None


def _code(record: JobRecord) -> str | None:
    return record.error.code if record.error else None
