"""The job record in Redis (or Valkey), 7 or newer. Every change is one Lua script in the folder `lua`, on Redis' clock.

This module only makes the calls and translates the answers. Which change may follow which is defined in the scripts.

    darkroom:job:<id>                     hash; expires JOB_RETENTION after the job ended
    darkroom:deadlines                    unfinished jobs by the time at which the sweep recovers them
    darkroom:given-up                     failed jobs that are not yet with the dead letters
    darkroom:unfinished:<status>          queued and processing jobs by the time of their acceptance
    darkroom:owner:<owner>                an owner's jobs by the time of their acceptance
    darkroom:owners                       the owners by the time at which they posted last
    darkroom:unfinished-of:<owner>        set: the owner's unfinished jobs
    darkroom:keepers-owed                 hash: keepers that storage did not take, by job
    darkroom:drained:<step>               hash: how many jobs ended in ten seconds, by owner; expires after a minute
    darkroom:idempotency:<owner>:<key>    the job that this key created; expires after a day, or with the job
    darkroom:erased:<hmac>, ...           what is left of erased jobs (redis_erasing.py)
    darkroom:statistics                   hash: what was counted (statistics_fields.py)
    darkroom:webhooks:...                 webhooks that are owed (lua/owing.lua)
    darkroom:changes                      channel: "<job id> <status>" for each change of a status
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from darkroom.adapters import redis_library
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
    memory_exhausted,
    over_memory,
    quota_exceeded,
)
from darkroom.adapters.jobs.admitting import AdmittingStore
from darkroom.adapters.jobs.attempt_errors import crash_error, late_claim_error, unanswered_claim_error
from darkroom.adapters.jobs.clock import RemoteClock
from darkroom.adapters.jobs.condition import EXAMINED, STRUCK_CODES, StoreCondition, was_struck
from darkroom.adapters.jobs.erasing import Erased
from darkroom.adapters.jobs.made_records import made_text, presets_text
from darkroom.adapters.jobs.mismatches import idempotency_mismatch
from darkroom.adapters.jobs.owed import OwedWebhooks
from darkroom.adapters.jobs.redis_erasing import RedisErasing
from darkroom.adapters.jobs.searching import FoundJobs, JobSearch
from darkroom.adapters.jobs.settling import Settler
from darkroom.adapters.jobs.statistics import LANES, LaneLoad, job_readings, limit_of, result_format
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
from darkroom.contract.unreadable import UnreadableJob
from darkroom.errors import describe
from darkroom.telemetry.metric import Readings

if TYPE_CHECKING:
    from redis import Redis
from darkroom.adapters.jobs.redis_owed import RedisOwedWebhooks
from darkroom.adapters.jobs.redis_records import record_of, unreadable
from darkroom.adapters.jobs.redis_scripts import (
    compact,
    error_text,
    job_values,
    kept_job_values,
    milliseconds,
    rules_text,
    script,
)
from darkroom.adapters.jobs.redis_searching import search_redis

CHANGES_CHANNEL = "darkroom:changes"

JOB_KEY_PREFIX = "darkroom:job:"
_GIVEN_UP = "darkroom:given-up"
_KEEPERS_OWED = "darkroom:keepers-owed"

AnswerT = TypeVar("AnswerT")


class RedisJobStore(AdmittingStore, RedisErasing):
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
        connect_timeout_s: float = 1.0,
        answer_timeout_s: float = 2.0,
    ) -> None:
        self._url = url
        self._connect_timeout_s = connect_timeout_s
        self._answer_timeout_s = answer_timeout_s
        self._crashed = error_text(crash_error())
        self._unanswered = error_text(unanswered_claim_error())
        self._broker_window = broker_window
        self._limits = limits or BacklogLimits()
        self._rules = rules_text(
            max_attempts, max_emissions, job_timeout_s, times or JobTimes(), broker_window, self._limits
        )
        self._recent_facts: RecentFacts[BacklogFacts] = RecentFacts(kept_s=facts_kept_s)
        self._recent_memory: RecentFacts[tuple[int, int]] = RecentFacts(kept_s=facts_kept_s)
        self._settler = Settler()
        self._clock = RemoteClock(self._time_ms)
        self._lock = threading.Lock()
        self._client: Redis | None = None
        self._owed = RedisOwedWebhooks(self._script)

    def _count_refused(self, refused: Refusal, jobs: int) -> None:
        # It is refused in any case; a count that cannot be written must not change the answer.
        with suppress(DependencyUnavailableError):
            self._script("refused", limit_of(refused), jobs)

    def _refusal(self, facts: BacklogFacts, jobs: int) -> Refusal | None:
        if jobs == 0:
            return None
        return super()._refusal(facts, jobs) or over_memory(*self._recent_memory.get("", self._memory))

    def accept(self, job: NewJob) -> Accepted:
        return self.accept_many([job])[0]

    def accept_many(self, jobs: Sequence[NewJob]) -> list[Accepted]:
        give_up_at = time.monotonic() + self._answer_timeout_s
        while (answers := self._accepted_before(give_up_at, jobs)) is None:
            # The request was delayed for too long, or Redis' clock was set since we read it.
            self._clock.forget()
            if time.monotonic() >= give_up_at:
                message = f"the request did not reach Redis within {self._answer_timeout_s:g} s"
                raise DependencyUnavailableError("jobs", message)
        return answers

    def _accepted_before(self, give_up_at: float, jobs: Sequence[NewJob]) -> list[Accepted] | None:
        """None: by Redis' clock, as we estimated it, the request arrived too late."""
        caller = uuid.uuid4().hex[:16]
        deadline_ms = self._clock.now_ms() + milliseconds(give_up_at - time.monotonic())
        values = [value for job in jobs for value in job_values(job)]
        sent: list[None] = []

        def send() -> Any:
            sent.append(None)
            return self._run_script("accept", deadline_ms, caller, *values)

        try:
            code, *rest = self._ask(send)
        except DependencyUnavailableError as exc:
            if _may_have_been_done(exc):
                job_ids = [str(job.job_id) for job in jobs]
                self._settler.settle(lambda: self._is_retracted(caller, deadline_ms, job_ids))
            if _is_out_of_memory(exc):
                refused = memory_exhausted()
                self._count_refused(refused, len(jobs))
                raise refused from exc
            raise
        if code == "late":
            return None
        if code == "moved":
            raise DependencyUnavailableError(
                "jobs", "the jobs are being moved to another store, which accepts them from now on (JOB_STORE)"
            )
        if code == "erased":
            raise InputNotFoundError(f"nothing is stored under {rest[0]}")
        if code == "quota":
            raise quota_exceeded(_load(rest[1]), self._limits.quota or 0, int(rest[0]))
        if code == "full":
            raise backlog_full(_load(rest[1]), self._limits.max_backlog or 0, int(rest[0]))
        if code == "mismatch":
            raise idempotency_mismatch([int(place) - 1 for place in rest[0]], of=len(jobs))
        return [_accepted(job, answer, repeated=len(sent) > 1) for job, answer in zip(jobs, rest[0], strict=True)]

    def emitted(self, job_id: UUID, emission: int) -> None:
        self.emitted_many([(job_id, emission)])

    def emitted_many(self, emissions: Sequence[tuple[UUID, int]]) -> None:
        self._script("emitted", *(value for job_id, emission in emissions for value in (str(job_id), emission)))

    def claim(self, job_id: UUID, *, worker: str, token: str | None = None) -> ClaimAnswer:
        token = token or uuid.uuid4().hex[:16]
        try:
            code, *rest = self._script("claim", str(job_id), worker, token, self._crashed)
        except DependencyUnavailableError as exc:
            if _may_have_been_done(exc):
                self._settler.settle(lambda: self._is_withdrawn(job_id, token))
            raise
        try:
            return self._claim_answer(job_id, token, code, rest)
        except JobUnreadableError:
            # The version that can read the record shall find its attempts uncounted.
            self._withdraw_now_or_later(job_id, token)
            raise

    def _claim_answer(self, job_id: UUID, token: str, code: str, rest: list[Any]) -> ClaimAnswer:
        match code:
            case "lease":
                record = record_of(rest[0], job_id)
                return Lease(job_id=job_id, fence=record.fence, record=record)
            case "held":
                record = record_of(rest[0], job_id)
                lease = Lease(job_id=job_id, fence=record.fence, record=record)
                return Held(lease=lease, lease_left_s=int(rest[1]) / 1000, attempt_s=int(rest[2]) / 1000)
            case "final":
                return AlreadyFinal(record=record_of(rest[0], job_id))
            case "spent":
                return AttemptsSpent(record=record_of(rest[0], job_id))
            case "unknown":
                return Unknown()
            case "erased":
                return Erased()
            case "late":
                self._withdraw_now_or_later(job_id, token)
                raise late_claim_error()
        raise InternalError(f"the claim script answered {code!r}")

    def withdraw(self, job_id: UUID, token: str) -> None:
        self._script("withdraw", str(job_id), token, self._unanswered)

    def renew(self, lease: Lease) -> Outcome:
        return Outcome(self._script("renew", str(lease.job_id), lease.fence, patient=True)[0])

    def rendered(self, lease: Lease, name: str, made: JobResult | DarkroomError) -> Outcome:
        text = made_text(lease.job_id, name, made)
        counted = (result_format(made.content_type), made.bytes) if isinstance(made, JobResult) else ("", 0)
        return Outcome(self._script("rendered", str(lease.job_id), lease.fence, name, text, *counted, patient=True)[0])

    def complete(
        self, lease: Lease, result: JobResult | None, timings_ms: dict[str, int]
    ) -> tuple[Outcome, JobRecord | None]:
        return self._end("complete", lease, "" if result is None else result.model_dump_json(), compact(timings_ms))

    def fail(self, lease: Lease, error: DarkroomError) -> tuple[Outcome, JobRecord | None]:
        return self._end("fail", lease, error_text(error))

    def release(self, lease: Lease, error: DarkroomError, *, counts: bool) -> Outcome:
        def send() -> Outcome:
            return Outcome(self._script("release", str(lease.job_id), lease.fence, text, "1" if counts else "0")[0])

        def is_answered() -> bool:
            send()
            return True

        text = error_text(error)
        try:
            return send()
        except DependencyUnavailableError as exc:
            # If it was not carried out, the lease would run out, and that would be taken for a crash.
            if _may_have_been_done(exc):
                self._settler.settle(is_answered)
            raise

    def get(self, job_id: UUID) -> JobRecord | None:
        from redis.exceptions import ResponseError

        try:
            fields: Any = self._ask(lambda: self._connected().hgetall(f"{JOB_KEY_PREFIX}{job_id}"))
        except DependencyUnavailableError as exc:
            if isinstance(exc.__cause__, ResponseError) and "WRONGTYPE" in exc.detail:
                raise unreadable({}, job_id, "it is no hash") from exc
            raise
        return record_of(fields, job_id) if fields else None

    def list_jobs(
        self,
        owner: str,
        *,
        status: JobStatus | None = None,
        job_type: str | None = None,
        limit: int = 20,
        after: JobCursor | None = None,
    ) -> JobPage:
        place = ("", "") if after is None else (after.created_ms, str(after.job_id))
        page, *end = self._script("list", owner, status or "", job_type or "", limit, *place)
        return JobPage(
            records=[_record_or_unreadable(flat, UUID(job_id)) for job_id, flat in page],
            next=JobCursor(created_ms=int(end[0]), job_id=UUID(end[1])) if end else None,
        )

    def search(self, wanted: JobSearch, *, limit: int, after: JobCursor | None = None) -> FoundJobs:
        return search_redis(self._script, wanted, limit=limit, after=after)

    def recover(self, job_id: UUID, error: DarkroomError) -> Recovered:
        step, flat = self._script("recover", str(job_id), error_text(error))
        return Recovered(step=NextStep(step), record=record_of(flat, job_id) if flat else None)

    def recover_overdue(self, *, limit: int, error: DarkroomError) -> list[Recovered]:
        steps = self._script("recover_overdue", limit, error_text(error))
        return [_recovered(step, flat, UUID(job_id)) for step, flat, job_id in steps]

    def kept(self, job_id: UUID) -> None:
        self._ask(lambda: self._connected().zrem(_GIVEN_UP, str(job_id)))

    def redrive(
        self,
        job_id: UUID,
        *,
        parameters: dict[str, Any] | None = None,
        presets: Mapping[str, PresetUse] | None = None,
        remake: Sequence[str] = (),
    ) -> Recovered:
        new = ("" if parameters is None else compact(parameters), "" if presets is None else presets_text(presets))
        step, flat = self._script("redrive", str(job_id), *new, *remake)
        return Recovered(step=NextStep(step), record=record_of(flat, job_id) if flat else None)

    def owe_keeper(self, job_id: UUID, body: bytes) -> None:
        self._ask(lambda: self._connected().hset(_KEEPERS_OWED, str(job_id), body.decode()))

    def owed_keepers(self, *, limit: int) -> dict[UUID, bytes]:
        found: Any = self._ask(lambda: self._connected().hrandfield(_KEEPERS_OWED, limit, withvalues=True))
        flat = found or []
        return {UUID(job_id): body.encode() for job_id, body in zip(flat[::2], flat[1::2], strict=True)}

    def keeper_written(self, job_id: UUID) -> None:
        self._ask(lambda: self._connected().hdel(_KEEPERS_OWED, str(job_id)))

    def without_record(self, job_ids: Sequence[UUID]) -> set[UUID]:
        return {UUID(job_id) for job_id in self._script("without_record", *map(str, job_ids))}

    def restore(self, jobs: Sequence[KeptJob]) -> list[Restoration]:
        values = [value for job in jobs for value in kept_job_values(job)]
        return [Restoration(outcome) for outcome in self._script("restore", *values)]

    def next_in_line(self, lane: Lane | None = None, *, limit: int) -> list[JobRecord]:
        return _readable(self._script("next_in_line", "" if lane is None else _lane_name(lane), limit))

    def unemitted(self, *, limit: int) -> list[JobRecord]:
        return _readable(self._script("unemitted", limit))

    @property
    def owed(self) -> OwedWebhooks:
        return self._owed

    def backlog(self) -> Backlog:
        queued, processing, oldest_age_ms = self._script("backlog")
        counts = {JobStatus.QUEUED: int(queued), JobStatus.PROCESSING: int(processing)}
        return Backlog(by_status=counts, oldest_age_s=int(oldest_age_ms) / 1000)

    def statistics(self) -> Readings:
        names = [_lane_name(lane) for lane in LANES]
        fields, (queued, processing, oldest_age_ms), outbox, given_up, lanes, owed = self._script("statistics", *names)
        return job_readings(
            tally_of(dict(zip(fields[::2], fields[1::2], strict=True))),
            unfinished={JobStatus.QUEUED: int(queued), JobStatus.PROCESSING: int(processing)},
            oldest_age_s=int(oldest_age_ms) / 1000,
            outbox=int(outbox),
            given_up=int(given_up),
            lanes={lane: _lane_load(*numbers) for lane, numbers in zip(LANES, lanes, strict=True)},
            broker_window=self._broker_window,
            webhooks_owed=int(owed[0]),
            oldest_owed_age_s=int(owed[1]) / 1000,
        )

    def condition(self, *, struck: int) -> StoreCondition:
        load, found = self._script("condition", struck, EXAMINED, *STRUCK_CODES)
        used, most = self._memory()
        records = tuple(record for record in _readable(found) if was_struck(record))
        return StoreCondition(used_bytes=used, max_bytes=most, load=_load(load), struck=records)

    def check(self) -> None:
        policy = self._ask(self._maxmemory_policy)
        if policy != "noeviction":
            raise DependencyUnavailableError("jobs", f"maxmemory-policy must be noeviction, was {policy}")

    def close(self) -> None:
        self._settler.close()
        with self._lock:
            if self._client is not None:
                self._client.close()
            self._client = None

    def _end(self, script: str, lease: Lease, *arguments: str) -> tuple[Outcome, JobRecord | None]:
        outcome, flat = self._script(script, str(lease.job_id), lease.fence, *arguments, patient=True)
        return Outcome(outcome), record_of(flat, lease.job_id) if flat else None

    def _is_retracted(self, caller: str, deadline_ms: int, job_ids: list[str]) -> bool:
        return bool(self._script("retract", caller, deadline_ms, *job_ids)[0] == "done")

    def _withdraw_now_or_later(self, job_id: UUID, token: str) -> None:
        try:
            self.withdraw(job_id, token)
        except DependencyUnavailableError:
            self._settler.settle(lambda: self._is_withdrawn(job_id, token))

    def _is_withdrawn(self, job_id: UUID, token: str) -> bool:
        self.withdraw(job_id, token)
        return True

    def _time_ms(self) -> int:
        seconds, microseconds = self._ask(lambda: self._connected().time())
        return int(seconds) * 1000 + int(microseconds) // 1000

    def _ask_for_facts(self, owner: str, names: Sequence[JobName]) -> tuple[BacklogFacts, int]:
        values = (value for name in names for value in (name.idempotency_key or "", str(name.job_id or "")))
        mine, everybody, known = self._script("admission", owner, *values)
        return BacklogFacts(mine=_load(mine), all=_load(everybody)), int(known)

    def _memory(self) -> tuple[int, int]:
        """Used bytes, and the limit; 0: none."""
        memory: Any = self._ask(lambda: self._connected().info("memory"))
        return int(memory.get("used_memory", 0)), int(memory.get("maxmemory", 0))

    def _maxmemory_policy(self) -> str:
        # INFO rather than CONFIG GET: our ACL user needs no access to CONFIG.
        memory: Any = self._connected().info("memory")
        return str(memory.get("maxmemory_policy"))

    def _script(self, name: str, *arguments: str | int, patient: bool = False) -> Any:
        return self._ask(lambda: self._run_script(name, *arguments), patient=patient)

    def _run_script(self, name: str, *arguments: str | int) -> Any:
        """Run a script as redis-py's Script does, without its overhead of a fifth of the whole call."""
        from redis.exceptions import NoScriptError

        client, loaded = self._connected(), script(name)
        run: Callable[..., Any] = client.execute_command
        try:
            return run("EVALSHA", loaded.sha1, 0, self._rules, *arguments)
        except NoScriptError:
            client.script_load(loaded.text)
            return run("EVALSHA", loaded.sha1, 0, self._rules, *arguments)

    def _ask(self, call: Callable[[], AnswerT], *, patient: bool = False) -> AnswerT:
        """Make a call, and retry it once, immediately, if the connection broke: a server that restarted has closed the
        open connections. `patient` also retries after a timeout: a job that is already rendered is worth the wait.
        Every call may be sent twice; the scripts say why."""
        redis_library.load()
        from redis.exceptions import AuthenticationError, BusyLoadingError, ConnectionError, RedisError, TimeoutError

        try:
            try:
                return call()
            except (AuthenticationError, BusyLoadingError):
                raise
            except ConnectionError:
                return call()
            except TimeoutError:
                if not patient:
                    raise
                return call()
        except RedisError as exc:
            raise DependencyUnavailableError("jobs", describe(exc)) from exc

    def _connected(self) -> Redis:
        with self._lock:
            if self._client is None:
                self._client = self._make_client()
            return self._client

    def _make_client(self) -> Redis:
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        return Redis.from_url(
            self._url,
            decode_responses=True,
            socket_connect_timeout=self._connect_timeout_s,
            socket_timeout=self._answer_timeout_s,
            retry=Retry(NoBackoff(), 0),
        )


def _accepted(job: NewJob, answer: list[Any], *, repeated: bool) -> Accepted:
    """The answer for one job. A job that was sent again because the first answer was lost finds itself already
    accepted. It passes for created, so that the caller emits it: perhaps once too often, rather than never."""
    code, first_id, flat = answer
    record = record_of(flat, UUID(first_id))
    return Accepted(record=record, created=code == "created" or (repeated and record.job_id == job.job_id))


def _record_or_unreadable(flat: list[str], job_id: UUID) -> JobRecord | UnreadableJob:
    try:
        return record_of(flat, job_id)
    except JobUnreadableError as exc:
        return exc.job


def _readable(jobs: list[Any]) -> list[JobRecord]:
    """Without the records of another version, which stay in the window for one that can read them."""
    records = (_record_or_unreadable(flat, UUID(job_id)) for job_id, flat in jobs)
    return [record for record in records if isinstance(record, JobRecord)]


def _lane_name(lane: Lane) -> str:
    return f"{lane.type}|{lane.cost_class}"


def _lane_load(waiting: Any, with_broker: Any, oldest_wait_ms: Any) -> LaneLoad:
    return LaneLoad(waiting=int(waiting), with_broker=int(with_broker), oldest_wait_s=int(oldest_wait_ms) / 1000)


def _recovered(step: str, flat: list[str], job_id: UUID) -> Recovered:
    found = _record_or_unreadable(flat, job_id)
    if isinstance(found, JobRecord) and step != "unreadable":
        return Recovered(step=NextStep(step), record=found)
    if isinstance(found, JobRecord):
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        found = unreadable(fields, job_id, "the sweep cannot work with it").job
    return Recovered(step=NextStep.NOTHING, unreadable=found)


def _load(numbers: Sequence[Any]) -> BacklogLoad:
    unfinished, ended, within_ms, oldest_age_ms = map(int, numbers)
    return BacklogLoad(unfinished=unfinished, ended=ended, within_s=within_ms / 1000, oldest_age_s=oldest_age_ms / 1000)


def _is_out_of_memory(error: DependencyUnavailableError) -> bool:
    from redis.exceptions import OutOfMemoryError

    return isinstance(error.__cause__, OutOfMemoryError)


def _may_have_been_done(error: DependencyUnavailableError) -> bool:
    """Whether Redis may have carried out the call. False if it answered: then it refused."""
    from redis.exceptions import ConnectionError, TimeoutError

    return isinstance(error.__cause__, ConnectionError | TimeoutError)
