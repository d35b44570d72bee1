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
from tests.faults.faulty_stack import FaultyStack

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


class Verdict(loadtests.verdict.Verdict):
    def assert_nothing_lost_doubled_or_stuck(self) -> None:
        assert (self.lost, self.doubled, self.stuck) == ([], [], []), self


class Ledger:
    def __init__(self, faulty: FaultyStack) -> None:
        self._faulty = faulty
        self._lock = threading.Lock()
        self.answers: list[PostRecord] = []

    # --- what the client does ----------------------------------------------------------------------------------------

    def post(
        self, job_type: str, picture: bytes, *, key: str | None = None, timeout_s: float = 30, **parameters: Any
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
                headers={"content-type": "image/jpeg", "x-request-id": request_id, "idempotency-key": key},
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
            self._check_job(job_id, jobs.get(job_id), stored, letters, verdict)
        verdict.stuck += [f"{job_id}: {job['status']}" for job_id, job in jobs.items() if not _is_final(job)]
        verdict.doubled += self._doubled(jobs, stored)
        return verdict

    def _check_job(
        self, job_id: str, job: dict[str, str] | None, stored: dict[str, set[str]], letters: set[str], verdict: Verdict
    ) -> None:
        if job is None:
            verdict.lost.append(f"{job_id}: accepted, and there is no such job")
            return
        if job["status"] == "completed":
            verdict.completed += 1
            self._check_result(job_id, stored, verdict)
        elif job["status"] == "failed":
            verdict.failed += 1
            code = str(httpx.Response(200, content=job["error"]).json()[0])
            if code in GIVEN_UP and job_id not in letters:
                verdict.lost.append(f"{job_id}: given up with {code}, and not among the dead letters")

    def _check_result(self, job_id: str, stored: dict[str, set[str]], verdict: Verdict) -> None:
        record = self._faulty.record(job_id)
        if record is None or record.result is None or record.result.storage_key not in stored[job_id]:
            verdict.lost.append(f"{job_id}: completed, and its result is not stored")
            return
        with self._faulty.storage() as storage:
            body = storage.get(record.result.storage_key, max_bytes=10**8)
        if len(body) != record.result.bytes:
            verdict.lost.append(f"{job_id}: {len(body)} bytes stored, {record.result.bytes} promised")

    def _doubled(self, jobs: dict[str, dict[str, str]], stored: dict[str, set[str]]) -> list[str]:
        doubled = [f"{job_id}: results {sorted(keys)}" for job_id, keys in stored.items() if len(keys) > 1]
        doubled += [f"{job_id}: a result of no known job" for job_id in stored.keys() - jobs.keys()]
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
            stored[key.partition("/")[2].partition(".")[0]].add(key)
        return stored


def _is_final(job: dict[str, str]) -> bool:
    return job["status"] in {"completed", "failed"}


def _all(letters: JetStreamDeadLetters) -> list[Any]:
    found: list[Any] = []
    while page := letters.list(limit=200, after=found[-1].sequence if found else 0):
        found += page
    return found
