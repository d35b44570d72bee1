"""The job store in PostgreSQL. This module makes the calls and translates the answers.

Which change may follow which is defined in the functions of the folder `migrations`, each called as one statement: one
transaction, one round trip.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

from darkroom.adapters.jobs import (
    JOB_TIMEOUT_S,
    MAX_ATTEMPTS,
    MAX_EMISSIONS,
    Accepted,
    AlreadyFinal,
    AttemptsSpent,
    Backlog,
    ClaimAnswer,
    Held,
    JobCursor,
    JobPage,
    KeptJob,
    Lane,
    Lease,
    NewJob,
    NextStep,
    Outcome,
    Recovered,
    Restoration,
    Unknown,
)
from darkroom.adapters.jobs.admission import (
    FACTS_KEPT_S,
    BacklogFacts,
    BacklogLimits,
    BacklogLoad,
    JobName,
    RecentFacts,
    Refusal,
    backlog_full,
    quota_exceeded,
)
from darkroom.adapters.jobs.admitting import AdmittingStore
from darkroom.adapters.jobs.attempt_errors import late_claim_error, unanswered_claim_error
from darkroom.adapters.jobs.clock import RemoteClock
from darkroom.adapters.jobs.condition import StoreCondition
from darkroom.adapters.jobs.erasing import Erased
from darkroom.adapters.jobs.made_records import made_text, presets_text
from darkroom.adapters.jobs.mismatches import idempotency_mismatch
from darkroom.adapters.jobs.owed import OwedWebhooks
from darkroom.adapters.jobs.postgres.condition import condition
from darkroom.adapters.jobs.postgres.connections import Connections, may_have_been_done
from darkroom.adapters.jobs.postgres.erasing import PostgresErasing
from darkroom.adapters.jobs.postgres.listing import list_page
from darkroom.adapters.jobs.postgres.owed import PostgresOwedWebhooks
from darkroom.adapters.jobs.postgres.records import Row, record_of, record_or_unreadable, unreadable
from darkroom.adapters.jobs.postgres.rules import rules_json
from darkroom.adapters.jobs.postgres.searching import search_page
from darkroom.adapters.jobs.postgres.upkeep import Upkeep
from darkroom.adapters.jobs.redis_scripts import compact, error_text, milliseconds
from darkroom.adapters.jobs.searching import FoundJobs, JobSearch
from darkroom.adapters.jobs.settling import Settler
from darkroom.adapters.jobs.statistics import LaneLoad, job_readings, limit_of, result_format
from darkroom.adapters.jobs.statistics_fields import tally_of
from darkroom.adapters.jobs.times import JobTimes
from darkroom.contract.errors import (
    DarkroomError,
    DependencyUnavailableError,
    InputNotFoundError,
    InternalError,
    JobUnreadableError,
)
from darkroom.contract.jobs import JobRecord, JobResult, JobStatus
from darkroom.contract.presets import PresetUse
from darkroom.telemetry.metric import Readings

_GET = """
SELECT to_jsonb(j) FROM (
    SELECT * FROM darkroom.jobs WHERE id = %s UNION ALL SELECT * FROM darkroom.finished WHERE id = %s
) AS j
"""
_OWE_KEEPER = """
INSERT INTO darkroom.keepers_owed VALUES (%s, %s) ON CONFLICT (job_id) DO UPDATE SET body = excluded.body
"""


class PostgresJobStore(AdmittingStore, PostgresErasing):
    """Safe to share between threads. Nothing is imported or connected before the first call, so a store can be created
    in a process that forks later."""

    def __init__(
        self,
        url: str,
        *,
        max_attempts: int = MAX_ATTEMPTS,
        max_emissions: int = MAX_EMISSIONS,
        job_timeout_s: float = JOB_TIMEOUT_S,
        times: JobTimes | None = None,
        broker_window: int | None = None,
        limits: BacklogLimits | None = None,
        facts_kept_s: float = FACTS_KEPT_S,
        answer_timeout_s: float = 2.0,
    ) -> None:
        self._answer_timeout_s = answer_timeout_s
        self._broker_window = broker_window
        self._limits = limits or BacklogLimits()
        times = times or JobTimes()
        self._rules = rules_json(max_attempts, max_emissions, job_timeout_s, times, broker_window, self._limits)
        self._connections = Connections(url, answer_timeout_s=answer_timeout_s)
        self._upkeep = Upkeep(url, final_kept_s=times.final_kept_s)
        self._recent_facts: RecentFacts[BacklogFacts] = RecentFacts(kept_s=facts_kept_s)
        self._owed = PostgresOwedWebhooks(self._call, self._connections)
        self._settler = Settler()
        self._clock = RemoteClock(self._time_ms)

    @property
    def owed(self) -> OwedWebhooks:
        return self._owed

    def _count_refused(self, refused: Refusal, jobs: int) -> None:
        # It is refused in any case; a count that cannot be written must not change the answer.
        with suppress(DependencyUnavailableError):
            self._call("count_refused", limit_of(refused), jobs)

    def accept(self, job: NewJob) -> Accepted:
        return self.accept_many([job])[0]

    def accept_many(self, jobs: Sequence[NewJob]) -> list[Accepted]:
        if not jobs:
            return []
        give_up_at = time.monotonic() + self._answer_timeout_s
        while (answers := self._accepted_before(give_up_at, jobs)) is None:
            # The request was delayed for too long, or the server's clock was set since we read it.
            self._clock.forget()
            if time.monotonic() >= give_up_at:
                message = f"the request did not reach PostgreSQL within {self._answer_timeout_s:g} s"
                raise DependencyUnavailableError("jobs", message)
        return answers

    def _accepted_before(self, give_up_at: float, jobs: Sequence[NewJob]) -> list[Accepted] | None:
        """None: by the server's clock, as we estimated it, the request arrived too late."""
        caller = uuid.uuid4().hex[:16]
        deadline_ms = self._clock.now_ms() + milliseconds(give_up_at - time.monotonic())
        try:
            answer = self._call("accept", deadline_ms, caller, compact([_asked(job) for job in jobs]))
        except DependencyUnavailableError as exc:
            if may_have_been_done(exc):
                job_ids = [job.job_id for job in jobs]
                self._settler.settle(lambda: self._is_retracted(caller, deadline_ms, job_ids))
            raise
        match answer["code"]:
            case "late":
                return None
            case "erased":
                raise InputNotFoundError(f"nothing is stored under {answer['key']}")
            case "quota":
                raise quota_exceeded(_load(answer["load"]), self._limits.quota or 0, answer["jobs"])
            case "full":
                raise backlog_full(_load(answer["load"]), self._limits.max_backlog or 0, answer["jobs"])
            case "mismatch":
                raise idempotency_mismatch(answer["places"], of=len(jobs))
        return _accepted(jobs, answer["jobs"], caller)

    def emitted(self, job_id: UUID, emission: int) -> None:
        self.emitted_many([(job_id, emission)])

    def emitted_many(self, emissions: Sequence[tuple[UUID, int]]) -> None:
        ids, numbers = [job_id for job_id, _ in emissions], [number for _, number in emissions]
        self._call("emitted", ids, numbers)

    def claim(self, job_id: UUID, *, worker: str, token: str | None = None) -> ClaimAnswer:
        token = token or uuid.uuid4().hex[:16]
        try:
            answer = self._call("claim", job_id, worker, token)
        except DependencyUnavailableError as exc:
            if may_have_been_done(exc):
                self._settler.settle(lambda: self._is_withdrawn(job_id, token))
            raise
        try:
            return self._claim_answer(job_id, token, answer)
        except JobUnreadableError:
            # The version that can read the record shall find its attempts uncounted.
            self._withdraw_now_or_later(job_id, token)
            raise

    def _claim_answer(self, job_id: UUID, token: str, answer: Row) -> ClaimAnswer:
        match answer["code"]:
            case "lease":
                record = record_of(answer["job"])
                return Lease(job_id=job_id, fence=record.fence, record=record)
            case "held":
                record = record_of(answer["job"])
                lease = Lease(job_id=job_id, fence=record.fence, record=record)
                return Held(
                    lease=lease, lease_left_s=answer["lease_left_ms"] / 1000, attempt_s=answer["attempt_ms"] / 1000
                )
            case "final":
                return AlreadyFinal(record=record_of(answer["job"]))
            case "spent":
                return AttemptsSpent(record=record_of(answer["job"], makes_room=answer["room"]))
            case "erased":
                return Erased()
            case "unknown":
                return Unknown()
            case "late":
                self._withdraw_now_or_later(job_id, token)
                raise late_claim_error()
        raise InternalError(f"darkroom.claim answered {answer['code']!r}")

    def withdraw(self, job_id: UUID, token: str) -> None:
        self._call("withdraw", job_id, token, error_text(unanswered_claim_error()))

    def renew(self, lease: Lease) -> Outcome:
        return Outcome(self._call("renew", lease.job_id, lease.fence, patient=True)["code"])

    def rendered(self, lease: Lease, name: str, made: JobResult | DarkroomError) -> Outcome:
        text = made_text(lease.job_id, name, made)
        counted = (result_format(made.content_type), made.bytes) if isinstance(made, JobResult) else (None, None)
        answer = self._call("rendered", lease.job_id, lease.fence, name, text, *counted, patient=True)
        return Outcome(answer["code"])

    def complete(
        self, lease: Lease, result: JobResult | None, timings_ms: dict[str, int]
    ) -> tuple[Outcome, JobRecord | None]:
        return self._end("complete", lease, None if result is None else result.model_dump_json(), compact(timings_ms))

    def fail(self, lease: Lease, error: DarkroomError) -> tuple[Outcome, JobRecord | None]:
        return self._end("fail", lease, error_text(error))

    def release(self, lease: Lease, error: DarkroomError, *, counts: bool) -> Outcome:
        def send() -> Outcome:
            return Outcome(self._call("release", lease.job_id, lease.fence, text, counts)["code"])

        def is_answered() -> bool:
            send()
            return True

        text = error_text(error)
        try:
            return send()
        except DependencyUnavailableError as exc:
            # If it was not carried out, the lease would run out, and that would be taken for a crash.
            if may_have_been_done(exc):
                self._settler.settle(is_answered)
            raise

    def get(self, job_id: UUID) -> JobRecord | None:
        rows = self._connections.ask(_GET, (job_id, job_id))
        return record_of(rows[0][0]) if rows else None

    def list_jobs(
        self,
        owner: str,
        *,
        status: JobStatus | None = None,
        job_type: str | None = None,
        limit: int = 20,
        after: JobCursor | None = None,
    ) -> JobPage:
        return list_page(self._connections, owner, status=status, job_type=job_type, limit=limit, after=after)

    def search(self, wanted: JobSearch, *, limit: int, after: JobCursor | None = None) -> FoundJobs:
        return search_page(self._connections, wanted, limit=limit, after=after)

    def recover(self, job_id: UUID, error: DarkroomError) -> Recovered:
        return _step(self._call("recover", job_id, error_text(error)))

    def recover_overdue(self, *, limit: int, error: DarkroomError) -> list[Recovered]:
        steps = self._call("recover_overdue", limit, error_text(error))
        self._upkeep.do_when_due()
        return [_swept(step) for step in steps]

    def kept(self, job_id: UUID) -> None:
        self._connections.ask("DELETE FROM darkroom.given_up WHERE id = %s", (job_id,))

    def redrive(
        self,
        job_id: UUID,
        *,
        parameters: dict[str, Any] | None = None,
        presets: Mapping[str, PresetUse] | None = None,
        remake: Sequence[str] = (),
    ) -> Recovered:
        new = (None if parameters is None else compact(parameters), None if presets is None else presets_text(presets))
        return _step(self._call("redrive", job_id, *new, list(remake)))

    def owe_keeper(self, job_id: UUID, body: bytes) -> None:
        self._connections.ask(_OWE_KEEPER, (job_id, body.decode()))

    def owed_keepers(self, *, limit: int) -> dict[UUID, bytes]:
        rows = self._connections.ask("SELECT job_id, body FROM darkroom.keepers_owed LIMIT %s", (limit,))
        return {job_id: body.encode() for job_id, body in rows}

    def keeper_written(self, job_id: UUID) -> None:
        self._connections.ask("DELETE FROM darkroom.keepers_owed WHERE job_id = %s", (job_id,))

    def without_record(self, job_ids: Sequence[UUID]) -> set[UUID]:
        return {UUID(job_id) for job_id in self._call("without_record", list(job_ids))}

    def restore(self, jobs: Sequence[KeptJob]) -> list[Restoration]:
        outcomes = self._call("restore", compact([_kept(job) for job in jobs]))
        return [Restoration(outcome) for outcome in outcomes]

    def next_in_line(self, lane: Lane | None = None, *, limit: int) -> list[JobRecord]:
        lane_type, cost = (None, None) if lane is None else (lane.type, lane.cost_class)
        return _readable(self._call("next_in_line", lane_type, cost, limit))

    def unemitted(self, *, limit: int) -> list[JobRecord]:
        return _readable(self._call("unemitted", limit))

    def backlog(self) -> Backlog:
        found: Row = self._connections.ask("SELECT darkroom.unfinished()")[0][0]
        return Backlog(by_status=_by_status(found), oldest_age_s=found["oldest_age_ms"] / 1000)

    def statistics(self) -> Readings:
        found = self._call("statistics")
        return job_readings(
            tally_of(found["fields"] or {}),
            unfinished=_by_status(found["unfinished"]),
            oldest_age_s=found["unfinished"]["oldest_age_ms"] / 1000,
            outbox=found["outbox"],
            given_up=found["given_up"],
            lanes=dict(_lane_load(*numbers) for numbers in found["lanes"] or ()),
            broker_window=self._broker_window,
            webhooks_owed=found["owed"][0],
            oldest_owed_age_s=found["owed"][1] / 1000,
        )

    def condition(self, *, struck: int) -> StoreCondition:
        return condition(self._connections, struck=struck)

    def check(self) -> None:
        """Return if the server answers, takes writes, has our tables, and keeps what it has confirmed."""
        [(is_reader, synchronous, _)] = self._connections.ask(
            "SELECT pg_is_in_recovery(), current_setting('synchronous_commit'), (SELECT count(*) FROM darkroom.lanes)"
        )
        if is_reader:
            raise DependencyUnavailableError("jobs", "the PostgreSQL server is a standby, which takes no writes")
        if synchronous == "off":
            raise DependencyUnavailableError(
                "jobs", "synchronous_commit must not be off: an accepted job could be lost"
            )

    def close(self) -> None:
        self._settler.close()
        self._connections.close()

    def _call(self, function: str, *arguments: Any, patient: bool = False) -> Any:
        placeholders = ", ".join(["%s"] * (1 + len(arguments)))
        rows = self._connections.ask(
            f"SELECT darkroom.{function}({placeholders})",
            (self._rules, *arguments),
            patient=patient,
        )
        return rows[0][0]

    def _end(self, function: str, lease: Lease, *arguments: str | None) -> tuple[Outcome, JobRecord | None]:
        answer = self._call(function, lease.job_id, lease.fence, *arguments, patient=True)
        row, room = answer.get("job"), bool(answer.get("room"))
        return Outcome(answer["code"]), None if row is None else record_of(row, makes_room=room)

    def _is_retracted(self, caller: str, deadline_ms: int, job_ids: list[UUID]) -> bool:
        return bool(self._call("retract", caller, deadline_ms, job_ids) == "done")

    def _withdraw_now_or_later(self, job_id: UUID, token: str) -> None:
        try:
            self.withdraw(job_id, token)
        except DependencyUnavailableError:
            self._settler.settle(lambda: self._is_withdrawn(job_id, token))

    def _is_withdrawn(self, job_id: UUID, token: str) -> bool:
        self.withdraw(job_id, token)
        return True

    def _time_ms(self) -> int:
        [(now_ms,)] = self._connections.ask("SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint")
        return int(now_ms)

    def _ask_for_facts(self, owner: str, names: Sequence[JobName]) -> tuple[BacklogFacts, int]:
        asked = [{"key": name.idempotency_key or "", "id": str(name.job_id) if name.job_id else None} for name in names]
        [(found,)] = self._connections.ask("SELECT darkroom.admission(%s, %s)", (owner, compact(asked)))
        return BacklogFacts(mine=_load(found["mine"]), all=_load(found["all"])), int(found["known"])


def _asked(job: NewJob) -> Row:
    return {
        "id": str(job.job_id),
        "type": job.type,
        "cost": job.cost_class,
        "owner": job.owner,
        "parameters": compact(job.parameters),
        "presets": json.loads(presets_text(job.presets)),
        "storage_key": job.storage_key,
        "request_id": job.request_id,
        "fingerprint": job.fingerprint,
        "key": job.idempotency_key or "",
        "trace": job.trace,
        "turn": job.turn,
        "original_bytes": job.original_bytes,
        "webhooks": job.webhooks,
    }


def _kept(kept: KeptJob) -> Row:
    finished_at = kept.finished_at
    return {
        **_asked(kept.new),
        "created_ms": milliseconds(kept.created_at.timestamp()),
        "finished_ms": None if finished_at is None else milliseconds(finished_at.timestamp()),
        "result": None if kept.result is None else kept.result.model_dump(mode="json"),
        "made": {name: json.loads(made_text(kept.new.job_id, name, made)) for name, made in kept.made.items()},
        "is_complete": kept.is_complete,
    }


def _lane_load(
    job_type: str, cost_class: str, waiting: int, with_broker: int, oldest_wait_ms: int
) -> tuple[Lane, LaneLoad]:
    load = LaneLoad(waiting=waiting, with_broker=with_broker, oldest_wait_s=oldest_wait_ms / 1000)
    return Lane(type=job_type, cost_class=cost_class), load


def _accepted(jobs: Sequence[NewJob], answers: Sequence[Row], caller: str) -> list[Accepted]:
    """A request that was sent again because the first answer was lost finds the jobs that it made itself. They pass for
    created, so that the caller emits them: perhaps once too often, rather than never."""
    accepted: list[Accepted] = []
    made: set[str] = set()
    for job, answer in zip(jobs, answers, strict=True):
        row = answer["job"]
        is_ours = row["caller"] == caller and row["id"] == str(job.job_id) and row["id"] not in made
        accepted.append(Accepted(record=record_of(row), created=answer["created"] or is_ours))
        made.add(row["id"])
    return accepted


def _readable(rows: list[Row]) -> list[JobRecord]:
    """Without the records of another version, which stay in the window for one that can read them."""
    return [record for row in rows if isinstance(record := record_or_unreadable(row), JobRecord)]


def _step(answer: Row) -> Recovered:
    row = answer["job"]
    return Recovered(step=NextStep(answer["code"]), record=None if row is None else record_of(row))


def _swept(answer: Row) -> Recovered:
    found = record_or_unreadable(answer["job"])
    if isinstance(found, JobRecord) and answer["code"] != "unreadable":
        return Recovered(step=NextStep(answer["code"]), record=found)
    if isinstance(found, JobRecord):
        found = unreadable(answer["job"], "the sweep cannot work with it").job
    return Recovered(step=NextStep.NOTHING, unreadable=found)


def _by_status(found: Row) -> dict[JobStatus, int]:
    return {JobStatus.QUEUED: found["queued"], JobStatus.PROCESSING: found["processing"]}


def _load(numbers: Sequence[int]) -> BacklogLoad:
    unfinished, ended, within_ms, oldest_age_ms = numbers
    return BacklogLoad(unfinished=unfinished, ended=ended, within_s=within_ms / 1000, oldest_age_s=oldest_age_ms / 1000)
