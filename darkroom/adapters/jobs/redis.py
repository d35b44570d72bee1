"""The job record in Redis (or Valkey), 7 or newer. Every change is one Lua script of the folder `lua`, on Redis' clock.

Here are only the calls and the translation of what comes back; what may follow what is said in the scripts.

    darkroom:job:<id>                     hash; expires seven days after the job's end
    darkroom:deadlines                    unfinished jobs by the moment the sweep looks after them
    darkroom:given-up                     failed jobs that wait to be kept with the dead letters
    darkroom:unfinished:<status>          queued and processing jobs by the moment they were accepted
    darkroom:owner:<owner>                an owner's jobs by the moment they were accepted
    darkroom:idempotency:<owner>:<key>    the job that this key made; expires after a day
    darkroom:statistics                   hash: what was counted (statistics_fields.py)
    darkroom:changes                      channel: "<job id> <status>" for each change of a status
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Sequence
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
    Lease,
    NewJob,
    NextStep,
    Outcome,
    Recovered,
    Unknown,
)
from darkroom.adapters.jobs.clock import RemoteClock
from darkroom.adapters.jobs.mismatches import idempotency_mismatch
from darkroom.adapters.jobs.settling import Settler
from darkroom.adapters.jobs.silence import claim_too_late, claim_unanswered, crashed
from darkroom.adapters.jobs.statistics import job_readings
from darkroom.adapters.jobs.statistics_fields import tally_of
from darkroom.adapters.jobs.times import JobTimes
from darkroom.contract.errors import (
    DarkroomError,
    DependencyUnavailableError,
    InternalError,
)
from darkroom.contract.jobs import JobRecord, JobResult, JobStatus
from darkroom.telemetry.metric import Readings

if TYPE_CHECKING:
    from redis import Redis
from darkroom.adapters.jobs.redis_records import record_of
from darkroom.adapters.jobs.redis_scripts import compact, error_text, job_values, milliseconds, rules_text, script

CHANGES_CHANNEL = "darkroom:changes"

JOB_KEY_PREFIX = "darkroom:job:"
_GIVEN_UP = "darkroom:given-up"

Answer = TypeVar("Answer")


class RedisJobStore:
    """Safe to share between threads. Nothing is imported or connected before the first call, so one can be made in a
    process that forks later."""

    def __init__(
        self,
        url: str,
        *,
        max_attempts: int = MAX_ATTEMPTS,
        max_emissions: int = MAX_EMISSIONS,
        job_timeout_s: float = JOB_TIMEOUT_S,
        times: JobTimes | None = None,
        connect_timeout_s: float = 1.0,
        answer_timeout_s: float = 2.0,
    ) -> None:
        self._url = url
        self._connect_timeout_s = connect_timeout_s
        self._answer_timeout_s = answer_timeout_s
        self._crashed = error_text(crashed())
        self._unanswered = error_text(claim_unanswered())
        self._rules = rules_text(max_attempts, max_emissions, job_timeout_s, times or JobTimes())
        self._settler = Settler()
        self._clock = RemoteClock(self._time_ms)
        self._lock = threading.Lock()
        self._client: Redis | None = None

    def accept(self, job: NewJob) -> Accepted:
        return self.accept_many([job])[0]

    def accept_many(self, jobs: Sequence[NewJob]) -> list[Accepted]:
        give_up_at = time.monotonic() + self._answer_timeout_s
        while (answers := self._accepted_before(give_up_at, jobs)) is None:
            # It lay somewhere for too long, or Redis' clock was set since we looked at it.
            self._clock.forget()
            if time.monotonic() >= give_up_at:
                raise DependencyUnavailableError("jobs", f"it was not asked within {self._answer_timeout_s:g} s")
        return answers

    def _accepted_before(self, give_up_at: float, jobs: Sequence[NewJob]) -> list[Accepted] | None:
        """None: by Redis' clock, as far as we know it, it was asked too late."""
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
            raise
        if code == "late":
            return None
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
            case "late":
                self._settler.settle(lambda: self._is_withdrawn(job_id, token))
                raise claim_too_late()
        raise InternalError(f"the claim script answered {code!r}")

    def withdraw(self, job_id: UUID, token: str) -> None:
        self._script("withdraw", str(job_id), token, self._unanswered)

    def renew(self, lease: Lease) -> Outcome:
        return Outcome(self._script("renew", str(lease.job_id), lease.fence, patient=True)[0])

    def complete(self, lease: Lease, result: JobResult, timings_ms: dict[str, int]) -> tuple[Outcome, JobRecord | None]:
        return self._end("complete", lease, result.model_dump_json(), compact(timings_ms))

    def fail(self, lease: Lease, error: DarkroomError) -> tuple[Outcome, JobRecord | None]:
        return self._end("fail", lease, error_text(error))

    def release(self, lease: Lease, error: DarkroomError, *, counts: bool) -> Outcome:
        def send() -> Outcome:
            return Outcome(self._script("release", str(lease.job_id), lease.fence, text, "1" if counts else "0")[0])

        def is_heard() -> bool:
            send()
            return True

        text = error_text(error)
        try:
            return send()
        except DependencyUnavailableError as exc:
            # Were it not carried out, the lease would run out, and its end would pass for a crash.
            if _may_have_been_done(exc):
                self._settler.settle(is_heard)
            raise

    def get(self, job_id: UUID) -> JobRecord | None:
        fields: Any = self._ask(lambda: self._connected().hgetall(f"{JOB_KEY_PREFIX}{job_id}"))
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
            records=[record_of(flat, UUID(job_id)) for job_id, flat in page],
            next=JobCursor(created_ms=int(end[0]), job_id=UUID(end[1])) if end else None,
        )

    def recover(self, job_id: UUID, error: DarkroomError) -> Recovered:
        step, flat = self._script("recover", str(job_id), error_text(error))
        return Recovered(step=NextStep(step), record=record_of(flat, job_id) if flat else None)

    def recover_overdue(self, *, limit: int, error: DarkroomError) -> list[Recovered]:
        steps = self._script("recover_overdue", limit, error_text(error))
        return [Recovered(step=NextStep(step), record=record_of(flat, UUID(job_id))) for step, flat, job_id in steps]

    def kept(self, job_id: UUID) -> None:
        self._ask(lambda: self._connected().zrem(_GIVEN_UP, str(job_id)))

    def redrive(self, job_id: UUID, *, parameters: dict[str, Any] | None = None) -> Recovered:
        step, flat = self._script("redrive", str(job_id), "" if parameters is None else compact(parameters))
        return Recovered(step=NextStep(step), record=record_of(flat, job_id) if flat else None)

    def backlog(self) -> Backlog:
        queued, processing, oldest_age_ms = self._script("backlog")
        counts = {JobStatus.QUEUED: int(queued), JobStatus.PROCESSING: int(processing)}
        return Backlog(by_status=counts, oldest_age_s=int(oldest_age_ms) / 1000)

    def statistics(self) -> Readings:
        fields, (queued, processing, oldest_age_ms), outbox, given_up = self._script("statistics")
        return job_readings(
            tally_of(dict(zip(fields[::2], fields[1::2], strict=True))),
            unfinished={JobStatus.QUEUED: int(queued), JobStatus.PROCESSING: int(processing)},
            oldest_age_s=int(oldest_age_ms) / 1000,
            outbox=int(outbox),
            given_up=int(given_up),
        )

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

    def _is_withdrawn(self, job_id: UUID, token: str) -> bool:
        self.withdraw(job_id, token)
        return True

    def _time_ms(self) -> int:
        seconds, microseconds = self._ask(lambda: self._connected().time())
        return int(seconds) * 1000 + int(microseconds) // 1000

    def _maxmemory_policy(self) -> str:
        # INFO rather than CONFIG GET: an ACL user of ours has no business with CONFIG.
        memory: Any = self._connected().info("memory")
        return str(memory.get("maxmemory_policy"))

    def _script(self, name: str, *arguments: str | int, patient: bool = False) -> Any:
        return self._ask(lambda: self._run_script(name, *arguments), patient=patient)

    def _run_script(self, name: str, *arguments: str | int) -> Any:
        """What redis-py's Script does, which takes a fifth of the whole call for itself."""
        from redis.exceptions import NoScriptError

        client, loaded = self._connected(), script(name)
        run: Callable[..., Any] = client.execute_command
        try:
            return run("EVALSHA", loaded.sha1, 0, self._rules, *arguments)
        except NoScriptError:
            client.script_load(loaded.text)
            return run("EVALSHA", loaded.sha1, 0, self._rules, *arguments)

    def _ask(self, call: Callable[[], Answer], *, patient: bool = False) -> Answer:
        """Once more at once when the connection broke: a server that restarted closes those that were open. `patient`
        asks once more also when no answer came in time: a job that is rendered already is worth the wait. Every call
        may be sent twice; the scripts say why."""
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
            raise DependencyUnavailableError("jobs", f"{type(exc).__name__}: {exc}") from exc

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
    """Sent a second time because the first answer was lost, a job finds itself there. Then the caller emits it, perhaps
    once too often, rather than never."""
    code, first_id, flat = answer
    record = record_of(flat, UUID(first_id))
    return Accepted(record=record, created=code == "created" or (repeated and record.job_id == job.job_id))


def _may_have_been_done(error: DependencyUnavailableError) -> bool:
    """False when Redis answered: then it refused."""
    from redis.exceptions import ConnectionError, TimeoutError

    return isinstance(error.__cause__, ConnectionError | TimeoutError)
