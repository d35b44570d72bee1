"""Records a client's answers, and compares them in the end with the API's records, the storage and the dead letters."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import httpx

import loadtests.verdict
from darkroom.adapters.deadletters.jetstream import JetStreamDeadLetters
from darkroom.adapters.jobs.thin_records import written_out
from darkroom.contract.errors import DarkroomError
from tests.faults.endings import Endings
from tests.faults.faulty_stack import FaultyStack

ID_CHARACTERS = 36
GIVEN_UP = {"image.crashed", "job.timeout", "dependency.unavailable", "internal"}
"""A job that failed with one of these must be among the dead letters."""


class PostResult(StrEnum):
    ACCEPTED = "accepted"
    REFUSED = "refused"
    """503: nothing was accepted."""
    UNKNOWN = "unknown"
    """The answer was lost, or came from a proxy before ingest: the job may be accepted or not."""


@dataclass(frozen=True, kw_only=True)
class PostRecord:
    request_id: str
    key: str
    result: PostResult
    status: int | None
    job_id: str | None
    took_s: float
    retry_after: str | None = None


@dataclass(kw_only=True)
class Verdict(loadtests.verdict.Verdict):
    renditions: int = 0
    """Completed jobs with several results."""
    cancelled: int = 0
    erased: int = 0
    left_open: int = 0
    """Cancelled or erased less than a minute before the job store was lost."""

    def counts(self) -> dict[str, int]:
        own = {name: getattr(self, name) for name in ("renditions", "cancelled", "erased", "left_open")}
        return {**super().counts(), **{name: number for name, number in own.items() if number}}

    def assert_nothing_lost_doubled_or_stuck(self) -> None:
        assert (self.lost, self.doubled, self.stuck) == ([], [], []), self


class Ledger:
    def __init__(self, faulty: FaultyStack) -> None:
        self._faulty = faulty
        self._lock = threading.Lock()
        self.answers: list[PostRecord] = []
        self.endings = Endings(faulty)
        self._stored_before = set(self._stored())
        """Jobs of earlier tests. Their records may be lost in this one, and not all can be restored."""

    # --- what the client does ----------------------------------------------------------------------------------------

    def post(
        self,
        job_type: str,
        picture: bytes,
        *,
        key: str | None = None,
        timeout_s: float = 30,
        background: bool = False,
        **parameters: Any,
    ) -> PostRecord:
        """POST once with a key of its own, and record the result."""
        request_id, key = str(uuid.uuid4()), key or str(uuid.uuid4())
        began = time.monotonic()
        status, job_id, retry_after = None, None, None
        try:
            answer = httpx.post(
                f"{self._faulty.stack.addresses['api']}/api/v1/{job_type}",
                params={name: str(value) for name, value in parameters.items()},
                content=picture,
                headers={
                    "content-type": "image/jpeg",
                    "x-request-id": request_id,
                    "idempotency-key": key,
                    **({"priority": "u=7"} if background else {}),
                },
                timeout=timeout_s,
            )
            status, retry_after = answer.status_code, answer.headers.get("retry-after")
            job_id = answer.json()["job_id"] if status == 202 else None
        except httpx.HTTPError:
            result = PostResult.UNKNOWN
        else:
            result = {202: PostResult.ACCEPTED, 503: PostResult.REFUSED}.get(status, PostResult.UNKNOWN)
        entry = PostRecord(
            request_id=request_id,
            key=key,
            result=result,
            status=status,
            job_id=job_id,
            took_s=time.monotonic() - began,
            retry_after=retry_after,
        )
        with self._lock:
            self.answers.append(entry)
        return entry

    def submit(self, job_type: str, picture: bytes, **parameters: Any) -> str:
        answer = self.post(job_type, picture, **parameters)
        assert answer.job_id is not None, answer
        return answer.job_id

    def insist(self, job_type: str, picture: bytes, *, tries: int = 20, pause_s: float = 0.5, **parameters: Any) -> str:
        """As a good client does: the same POST with the same key until it is accepted."""
        key = str(uuid.uuid4())
        for _ in range(tries):
            answer = self.post(job_type, picture, key=key, **parameters)
            if answer.job_id is not None:
                return answer.job_id
            time.sleep(pause_s)
        raise AssertionError(f"not accepted in {tries} tries; last: {answer}")

    def cancel(self, job_id: str) -> None:
        self.endings.cancel(job_id)

    def erase(self, job_id: str) -> None:
        self.endings.erase(job_id)

    @property
    def accepted(self) -> set[str]:
        with self._lock:
            return {answer.job_id for answer in self.answers if answer.job_id is not None}

    # --- the reckoning -----------------------------------------------------------------------------------------------

    def settle(self, *, within_s: float) -> float:
        """Waits until every job there is has ended; seconds until then. What has not, the verdict calls stuck."""
        began = time.monotonic()
        while self._unfinished() and time.monotonic() - began < within_s:
            time.sleep(0.1)
        return time.monotonic() - began

    def _unfinished(self) -> int:
        store = self._faulty.store
        try:
            return sum(store.backlog().by_status.values())
        except DarkroomError:
            return 1
        finally:
            store.close()

    def verdict(self) -> Verdict:
        verdict = Verdict(accepted=len(self.accepted))
        jobs = self._jobs()
        letters = self._letters()
        stored = self._stored()
        for job_id in sorted(self.accepted):
            if self.endings.is_open(job_id):
                verdict.left_open += 1
            elif job_id in self.endings.erased:
                verdict.erased += 1
            else:
                self._check_job(job_id, jobs.get(job_id), stored, letters, verdict)
        verdict.stuck += self.endings.left_of_erased()
        verdict.stuck += [f"{job_id}: {job['status']}" for job_id, job in jobs.items() if not _is_final(job)]
        verdict.doubled += self._doubled(jobs, stored)
        return verdict

    def _check_job(
        self, job_id: str, job: dict[str, str] | None, stored: dict[str, set[str]], letters: set[str], verdict: Verdict
    ) -> None:
        if job is None:
            if not self.endings.may_be_gone(job_id):
                verdict.lost.append(f"{job_id}: accepted, and there is no such job")
            return
        if job["status"] == "completed":
            verdict.completed += 1
            self._check_result(job_id, stored, verdict)
        elif job["status"] == "failed":
            verdict.failed += 1
            code = str(httpx.Response(200, content=job["error"]).json()[0])
            self._check_cancelled(job_id, code, stored, verdict)
            if code in GIVEN_UP and job_id not in letters:
                verdict.lost.append(f"{job_id}: given up with {code}, and not among the dead letters")

    def _check_cancelled(self, job_id: str, code: str, stored: dict[str, set[str]], verdict: Verdict) -> None:
        if code != "job.cancelled":
            if job_id in self.endings.cancelled and not self.endings.may_be_gone(job_id):
                verdict.lost.append(f"{job_id}: cancelled, and failed with {code}")
            return
        verdict.cancelled += 1
        if job_id not in self.endings.cancelled and job_id not in self.endings.unsure:
            verdict.lost.append(f"{job_id}: cancelled, and nobody asked for it")
        if stored[job_id]:
            verdict.stuck.append(f"{job_id}: cancelled, and still stored: {sorted(stored[job_id])}")

    def _check_result(self, job_id: str, stored: dict[str, set[str]], verdict: Verdict) -> None:
        if job_id in self.endings.cancelled and not self.endings.may_be_gone(job_id):
            verdict.doubled.append(f"{job_id}: cancelled, and completed")
        record = self._faulty.record(job_id)
        results = () if record is None else record.stored_results
        promised = max(1, 0 if record is None else len(record.rendition_names))
        verdict.renditions += promised > 1
        if len(results) != promised or not {one.storage_key for one in results} <= stored[job_id]:
            verdict.lost.append(f"{job_id}: completed, {len(results)} of {promised} results, not all are stored")
            return
        with self._faulty.storage() as storage:
            for result in results:
                body = storage.get(result.storage_key, max_bytes=10**8)
                if len(body) != result.bytes:
                    verdict.lost.append(f"{job_id}: {len(body)} bytes stored, {result.bytes} promised")

    def _doubled(self, jobs: dict[str, dict[str, str]], stored: dict[str, set[str]]) -> list[str]:
        doubled = [f"{job_id}: results {sorted(keys)}" for job_id, keys in stored.items() if _has_one_twice(keys)]
        unknown = [job_id for job_id, keys in stored.items() if keys and job_id not in {*jobs, *self._stored_before}]
        doubled += [f"{job_id}: a result of no known job" for job_id in unknown if not self.endings.may_be_gone(job_id)]
        of_key: defaultdict[str, set[str]] = defaultdict(set)
        for answer in self.answers:
            if answer.job_id is not None:
                of_key[answer.key].add(answer.job_id)
        doubled += [f"one key, jobs {sorted(ids)}" for ids in of_key.values() if len(ids) > 1]
        refused = {answer.request_id for answer in self.answers if answer.result is PostResult.REFUSED}
        doubled += [
            f"{job_id}: its POST was refused"
            for job_id, job in jobs.items()
            if job["request_id"] in refused and job_id not in self.accepted
        ]
        ends = Counter(line["job_id"] for line in self._faulty.said("job.completed"))
        doubled += [f"{job_id}: completed {count} times" for job_id, count in ends.items() if count > 1]
        cancelled = [job_id for job_id in self.endings.cancelled if not self.endings.may_be_gone(job_id)]
        doubled += [f"{job_id}: cancelled, and a worker completed it" for job_id in cancelled if job_id in ends]
        return doubled

    def _jobs(self) -> dict[str, dict[str, str]]:
        with self._faulty.redis_client() as client:
            keys: list[str] = [str(key) for key in client.scan_iter("darkroom:job:*", count=1000)]
            ids = {key: key.rpartition(":")[2] for key in keys}
            records: dict[str, Any] = {key: client.hgetall(key) for key in keys}
        return {ids[key]: written_out(fields, uuid.UUID(ids[key])) for key, fields in records.items()}

    def _letters(self) -> set[str]:
        with self._faulty.letters() as letters:
            return {kept.letter.job_id for kept in _all(letters) if kept.letter.job_id is not None}

    def _stored(self) -> defaultdict[str, set[str]]:
        stored: defaultdict[str, set[str]] = defaultdict(set)
        for key in self._faulty.stored("processed/"):
            stored[key.partition("/")[2][:ID_CHARACTERS]].add(key)
        return stored


def _has_one_twice(keys: set[str]) -> bool:
    """Return whether one result of a job is stored under two keys, which can only differ in their extension."""
    return len({key.rpartition(".")[0] for key in keys}) < len(keys)


def _is_final(job: dict[str, str]) -> bool:
    return job["status"] in {"completed", "failed"}


def _all(letters: JetStreamDeadLetters) -> list[Any]:
    found: list[Any] = []
    while page := letters.list(limit=200, after=found[-1].sequence if found else 0):
        found += page
    return found
