"""Moves jobs from Redis to PostgreSQL while the pipeline runs, and kills the mover twice: nothing is lost or doubled.

    python -m benchmarks.move [--finished 100000] [--jobs 300] [--save]

A stack on Redis takes two fifths of the jobs, and so many finished jobs besides, and is killed. It starts anew on
PostgreSQL, with what is left in Redis behind it; clients submit the rest while `darkroom jobs move` runs, is killed
at a third and at two thirds, and is run once more.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from redis import Redis

from benchmarks.measure import machine
from benchmarks.pipeline import RESULTS
from darkroom.adapters.jobs import KeptJob, NewJob
from darkroom.adapters.jobs.redis import RedisJobStore
from darkroom.contract.jobs import JobResult
from darkroom.imaging.photograph import make_photograph
from tests.faults.ledger import Verdict
from tests.faults.postgres_stack import PostgresLedger, PostgresStack
from tests.faults.proxy import Proxy
from tests.stack import ROOT, RunningStack, eventually

KILLS = (1 / 3, 2 / 3)
_BATCH = 500
_WITHIN_S = 1200
_IN_POSTGRES = "SELECT id FROM darkroom.jobs UNION ALL SELECT id FROM darkroom.finished"


@dataclass(frozen=True, kw_only=True)
class Report:
    finished: int
    moved_s: float
    """From the start of the first mover to the end of the last."""
    slowest_post_s: float
    verdict: Verdict
    missing: int
    """Finished jobs that are in no store."""
    twice: int
    """Jobs that are in both, or in both tables."""
    left: int
    """Keys of jobs that Redis still has."""


def run(folder: Path, *, finished: int, jobs: int) -> Report:
    picture = make_photograph(400, 300)
    with _stack(folder) as faulty:
        ledger = PostgresLedger(faulty)
        for _ in range(jobs // 5):
            ledger.submit("resize", picture, width=80)
        made = _fill(faulty.stack.addresses["redis"], finished)
        for _ in range(jobs // 5):
            ledger.submit("crop", picture, width=60, height=40)
        faulty.stack.kill()

        faulty.stack.options = ("--job-store", "postgres", "--move-from", "redis")
        faulty.stack.start()
        with ThreadPoolExecutor(4) as clients:
            posts = [
                clients.submit(ledger.insist, "resize", picture, tries=200, width=30 + number % 200)
                for number in range(jobs - 2 * (jobs // 5))
            ]
            eventually(lambda: any(post.done() for post in posts), within_s=120, what="a job is accepted")
            began = time.monotonic()
            for share in KILLS:
                _move(faulty, killed_at=round(finished * share))
            _move(faulty)
            moved_s = time.monotonic() - began
            for post in posts:
                post.result()
        ledger.settle(within_s=300)
        return _report(faulty, ledger, made, moved_s)


@contextmanager
def _stack(folder: Path) -> Iterator[PostgresStack]:
    unused = Proxy(lambda: ("127.0.0.1", 1))
    stack = RunningStack(data=folder / "data")
    try:
        stack.start()
        yield PostgresStack(stack=stack, redis=unused, s3=unused, folder=folder)
    finally:
        stack.kill()
        unused.close()


def _fill(redis_url: str, number: int) -> set[uuid.UUID]:
    """Add finished jobs, as `darkroom restore` does."""
    made: set[uuid.UUID] = set()
    with closing(RedisJobStore(redis_url, answer_timeout_s=30)) as store:
        for first in range(0, number, _BATCH):
            batch = [_finished_job(n) for n in range(first, min(first + _BATCH, number))]
            store.restore(batch)
            made.update(job.new.job_id for job in batch)
    return made


def _finished_job(number: int) -> KeptJob:
    job_id, ended = uuid.uuid4(), datetime.now(UTC) - timedelta(seconds=number % 500_000)
    return KeptJob(
        new=NewJob(
            job_id=job_id,
            type="resize",
            owner=f"key-{number % 50}",
            parameters={"width": 400},
            storage_key=f"uploads/{job_id}/original.jpg",
            request_id=str(uuid.uuid4()),
            fingerprint="f" * 64,
            idempotency_key=f"{number:064x}",
        ),
        created_at=ended - timedelta(seconds=1),
        finished_at=ended,
        result=JobResult(
            storage_key=f"processed/{job_id}.jpg", content_type="image/jpeg", width=400, height=300, bytes=27272
        ),
    )


def _move(faulty: PostgresStack, *, killed_at: int | None = None) -> None:
    """Run the mover. Kill it as soon as so many jobs have ended in PostgreSQL's tables."""
    command = [sys.executable, "-m", "darkroom.cli", "jobs", "move", "--from", "redis", "--to", "postgres"]
    mover = subprocess.Popen([*command, "--data", str(faulty.stack.data)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        if killed_at is None:
            said, _ = mover.communicate(timeout=_WITHIN_S)
            if mover.returncode != 0:
                raise RuntimeError(f"the mover ended with {mover.returncode}: {said}")
            return
        eventually(
            lambda: mover.poll() is not None or _finished(faulty) >= killed_at,
            within_s=_WITHIN_S,
            what=f"{killed_at} jobs have moved",
        )
        if mover.poll() is not None:
            raise RuntimeError("the mover ended before it was killed: move more jobs")
    finally:
        mover.kill()
        mover.communicate()


def _finished(faulty: PostgresStack) -> int:
    with psycopg.connect(faulty.postgres_url, autocommit=True) as client:
        found = client.execute("SELECT count(*) FROM darkroom.finished").fetchone()
    return 0 if found is None else int(found[0])


def _report(faulty: PostgresStack, ledger: PostgresLedger, made: set[uuid.UUID], moved_s: float) -> Report:
    with psycopg.connect(faulty.postgres_url, autocommit=True) as client:
        rows = [row[0] for row in client.execute(_IN_POSTGRES).fetchall()]
    redis: Any = Redis.from_url(faulty.stack.addresses["redis"], decode_responses=True)
    left = [key for pattern in ("darkroom:job:*", "darkroom:moving:*") for key in redis.scan_iter(pattern, count=1000)]
    redis.close()
    in_redis = {uuid.UUID(key.rpartition(":")[2]) for key in left}
    return Report(
        finished=len(made),
        moved_s=moved_s,
        slowest_post_s=max(answer.took_s for answer in ledger.answers),
        verdict=ledger.verdict(),
        missing=len(made - set(rows) - in_redis),
        twice=len(rows) - len(set(rows)) + len(in_redis & set(rows)),
        left=len(left),
    )


def text_of(report: Report) -> str:
    counts = ", ".join(f"{name} {count}" for name, count in report.verdict.counts().items())
    return (
        f"{report.finished:,} finished jobs and those under way were moved in {report.moved_s:.0f} s, by a mover that "
        f"was killed {len(KILLS)} times.\n\n"
        f"- clients meanwhile: {counts}; slowest POST {report.slowest_post_s:.1f} s\n"
        f"- finished jobs: missing {report.missing}, in two places {report.twice}, left in Redis {report.left}\n"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--finished", type=int, default=100_000, help="jobs that are in Redis and have ended")
    parser.add_argument("--jobs", type=int, default=300, help="jobs that clients submit before and meanwhile")
    parser.add_argument("--save", action="store_true", help="write the figures to benchmarks/results")
    options, head = parser.parse_args(), machine.description()
    with tempfile.TemporaryDirectory(prefix="darkroom-move-") as folder:
        report = run(Path(folder), finished=options.finished, jobs=options.jobs)
    command = " ".join(["python -m benchmarks.move", *sys.argv[1:]])
    text = "# The move to PostgreSQL\n\n" + "\n".join(f"- {line}" for line in [*head, f"`{command}`"])
    text += f"\n\n{text_of(report)}"
    print(text)
    if options.save:
        (RESULTS / "move.md").write_text(text)
    return 0 if report.verdict.is_clean and report.missing == report.twice == report.left == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
