"""Runs the cases of the cost benchmark on one stack, and measures everything that a job costs."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlencode

from redis import Redis

from benchmarks.cost_cases import REFERENCE, Case
from benchmarks.measure import jetstream_counts, pods, s3_counts
from benchmarks.measure.clients import Endings, Http, Pipeline
from benchmarks.measure.closed_loop import ClosedLoop, Measured, in_sum
from benchmarks.measure.cpu_time import Family, spent_by_all
from benchmarks.pipeline import family_of
from tests.pausing import paused
from tests.servers import S3_ACCESS_KEY, S3_SECRET_KEY, Server, running, s3_server
from tests.stack import RunningStack, eventually, running_stack

WARM_UP_JOBS = 100
UNFINISHED_JOBS = 300
READS = 300
TURNS, LEAST_IN_A_TURN = 6, 8
IDLE_S = 15.0
"""A sweep's period."""
_SETTLED_S = 60.0


@dataclass(frozen=True, kw_only=True)
class MeasuringStack:
    stack: RunningStack
    s3: Server
    s3_counts: s3_counts.S3Counts

    @property
    def families(self) -> list[Family]:
        return [family_of(self.stack), Family(pid=self.s3.pid, name="s3")]


@dataclass(frozen=True, kw_only=True)
class CaseCosts:
    """What a case's jobs cost."""

    case: Case
    input_bytes: int
    result_bytes: int
    measured: Measured
    reference_ms: float
    """CPU time of a job of `cost_cases.REFERENCE` in the same minute: how fast the machine was."""
    pod_bytes: Mapping[str, int]
    redis_bytes_each: float
    jetstream_writes_each: float
    jetstream_bytes_each: float
    s3_requests_each: Mapping[str, float]
    s3_sent_bytes_each: float
    s3_received_bytes_each: float


@dataclass(frozen=True, kw_only=True)
class Run:
    cases: Sequence[CaseCosts]
    reference_ms: float
    """The median of the cases' `reference_ms`: how fast the machine was in the run."""
    redis_finished_bytes_each: float
    redis_unfinished_bytes_each: float
    read: Measured
    """GET of a finished job, by the client's clock and the processes' CPU time."""
    standing_cores: Mapping[str, float]
    """CPU time a second of each process while there is nothing to do: sweeps, probes, the servers' own work."""
    waiting_ms: float
    """How much longer than its CPU time a job occupies a worker when nothing else runs: for storage and the store."""


@contextmanager
def measuring_stack(folder: Path) -> Iterator[MeasuringStack]:
    """Start an S3 server, the proxy that counts, and a stack that uses it.

    The record for `darkroom events`, which no cluster has, is off.
    """
    keys = {"STORAGE_ACCESS_KEY": S3_ACCESS_KEY, "STORAGE_SECRET_KEY": S3_SECRET_KEY}
    with (
        running(s3_server(folder / "s3")) as s3,
        s3_counts.counting(s3.url) as counts,
        running_stack(folder / "stack", "--s3", counts.url, "--no-record", verbose=False, environment=keys) as stack,
    ):
        yield MeasuringStack(stack=stack, s3=s3, s3_counts=counts)


async def measure_cases(measuring: MeasuringStack, cases: Sequence[Case], *, in_flight: int, share: float) -> Run:
    addresses = measuring.stack.addresses
    async with AsyncExitStack() as resources:
        http = await resources.enter_async_context(Http(connections=in_flight + 8))
        endings = await resources.enter_async_context(Endings(addresses["redis"]))
        streams = await resources.enter_async_context(jetstream_counts.counting(addresses["nats"]))
        redis = resources.enter_context(Redis.from_url(addresses["redis"]))
        runner = _Runner(measuring, http, endings, streams, redis, in_flight)
        await runner.warm_up(cases[0])
        costs = [await runner.run(case, max(4, round(case.jobs * share))) for case in cases]
        return Run(
            cases=costs,
            reference_ms=median(each.reference_ms for each in costs),
            redis_finished_bytes_each=await runner.finished_bytes_each(cases[0], max(200, round(2000 * share))),
            standing_cores=await runner.standing_cores(IDLE_S),
            waiting_ms=await runner.waiting_ms(cases[0], max(4, round(40 * share))),
            read=await runner.reads(max(20, round(READS * share))),
            redis_unfinished_bytes_each=await runner.unfinished_bytes_each(cases[0], max(20, round(300 * share))),
        )


class _Runner:
    def __init__(
        self,
        measuring: MeasuringStack,
        http: Http,
        endings: Endings,
        streams: jetstream_counts.JetStreamCounts,
        redis: Redis,
        in_flight: int,
    ) -> None:
        self._measuring = measuring
        self._http = http
        self._endings = endings
        self._streams = streams
        self._redis = redis
        self._in_flight = in_flight
        self._families = measuring.families
        self._api = measuring.stack.addresses["api"]
        self._last_job_id = ""

    async def warm_up(self, case: Case) -> None:
        await self._loop(case, case.picture(), self._in_flight).run(WARM_UP_JOBS, self._families)

    async def run(self, case: Case, jobs: int) -> CaseCosts:
        """Count first, then measure CPU time, in turns with the reference."""
        picture = case.picture()
        loop = self._loop(case, picture, self._in_flight)
        await loop.run(max(8, jobs // 4), self._families)
        result_bytes = await self._result_bytes(case, picture)
        used, streams, s3 = self.used_bytes(), self._streams.snapshot(), self._measuring.s3_counts.snapshot()
        counted = await loop.run(max(8, jobs // 2), self._families)
        s3, streams = self._measuring.s3_counts.since(s3), self._streams.since(streams)
        used = self.used_bytes() - used
        measured, reference = await self._in_turns(loop, jobs)
        costs = CaseCosts(
            case=case,
            input_bytes=len(picture),
            result_bytes=result_bytes,
            measured=measured,
            reference_ms=reference.total_ms_each,
            pod_bytes=pods.bytes_per_pod(self._families[0]),
            redis_bytes_each=used / counted.count,
            jetstream_writes_each=streams.writes / counted.count,
            jetstream_bytes_each=streams.bytes / counted.count,
            s3_requests_each={method: count / counted.count for method, count in s3.requests.items()},
            s3_sent_bytes_each=s3.bytes_sent / counted.count,
            s3_received_bytes_each=s3.bytes_received / counted.count,
        )
        print(_line(costs), flush=True)
        return costs

    async def _in_turns(self, loop: ClosedLoop, jobs: int) -> tuple[Measured, Measured]:
        reference = self._loop(REFERENCE, REFERENCE.picture(), self._in_flight)
        turns = max(1, min(TURNS, jobs // LEAST_IN_A_TURN))
        measured, measured_reference = [], []
        for _ in range(turns):
            measured_reference.append(await reference.run(REFERENCE.jobs // turns, self._families))
            measured.append(await loop.run(jobs // turns, self._families))
        return in_sum(measured), in_sum(measured_reference)

    def _loop(self, case: Case, picture: bytes, in_flight: int) -> ClosedLoop:
        pipeline = Pipeline(self._api, self._http, self._endings, case.parameters)
        return ClosedLoop(pipeline.uploading(picture, case.content_type), in_flight=in_flight)

    async def waiting_ms(self, case: Case, jobs: int) -> float:
        """Run one job at a time, and compare the time between claim and end with the CPU time of the function."""
        loop = self._loop(case, case.picture(), 1)
        occupied_ms: list[int] = []
        await loop.run(8, self._families)
        measured = await loop.run(jobs, self._families)
        for _ in range(jobs // 2):
            job = await self._job(await self._submit(case, case.picture()))
            occupied_ms.append(sum(job["timings_ms"].get(stage, 0) for stage in ("fetch", "render", "store")))
        cpu_ms = measured.milliseconds_each("resize")
        return max(0.0, sum(occupied_ms) / len(occupied_ms) - cpu_ms)

    async def standing_cores(self, seconds: float) -> Mapping[str, float]:
        before = spent_by_all(self._families)
        await asyncio.sleep(seconds)
        spent = spent_by_all(self._families).since(before)
        return {name: cpu_s / seconds for name, cpu_s in spent.by_name.items()}

    async def reads(self, count: int) -> Measured:
        async def read() -> None:
            await self._http.ask("GET", f"{self._api}/api/v1/jobs/{self._last_job_id}", expect=200)

        return await ClosedLoop(read, in_flight=self._in_flight).run(count, self._families)

    async def finished_bytes_each(self, case: Case, jobs: int) -> float:
        """Measure many jobs, since Redis allocates what grows with them in steps."""
        used = self.used_bytes()
        await self._loop(case, case.picture(), self._in_flight).run(jobs, self._families)
        return (self.used_bytes() - used) / jobs

    async def unfinished_bytes_each(self, case: Case, jobs: int) -> float:
        """Measure records of jobs that wait in the outbox, since the Broker's server stands still."""
        picture, used = case.picture(), self.used_bytes()
        with paused(self._measuring.stack.server_pid("nats")):
            for _ in range(jobs):
                await self._submit(case, picture)
            bytes_each = (self.used_bytes() - used) / jobs
        await asyncio.to_thread(self._until_all_ended)
        return bytes_each

    def _until_all_ended(self) -> None:
        def none_left() -> bool:
            jobs = self._measuring.stack.status()["jobs"]
            return not jobs["queued"] and not jobs["processing"]

        eventually(none_left, within_s=_SETTLED_S, what="all jobs have ended")

    async def _submit(self, case: Case, picture: bytes) -> str:
        url = f"{self._api}/api/v1/resize?{urlencode(case.parameters)}"
        said = await self._http.ask("POST", url, body=picture, headers={"content-type": case.content_type}, expect=202)
        self._last_job_id = str(json.loads(said)["job_id"])
        return self._last_job_id

    async def _job(self, job_id: str) -> dict[str, Any]:
        said = await self._http.ask("GET", f"{self._api}/api/v1/jobs/{job_id}?wait=60", expect=200)
        job: dict[str, Any] = json.loads(said)
        return job

    async def _result_bytes(self, case: Case, picture: bytes) -> int:
        return int((await self._job(await self._submit(case, picture)))["result"]["bytes"])

    def used_bytes(self) -> int:
        """Return what the data takes, with the tables of keys, and without clients' buffers."""
        stats: Any = self._redis.memory_stats()
        tables = sum(_tables_bytes(each) for name, each in stats.items() if re.fullmatch(r"db\.\d+", name))
        return int(stats["dataset.bytes"] + tables)


def _tables_bytes(database: Any) -> int:
    """Add up a database's part of MEMORY STATS, which is a list of names and numbers in RESP2."""
    return sum(database.values() if isinstance(database, dict) else database[1::2])


def _line(costs: CaseCosts) -> str:
    measured = costs.measured
    spent = ", ".join(f"{name} {measured.milliseconds_each(name):.1f}" for name in sorted(measured.spent.by_name))
    others = measured.others_s / measured.seconds
    return (
        f"{costs.case.name}: {measured.total_ms_each:.1f} ms of CPU time ({spent}), of the reference "
        f"{costs.reference_ms:.1f}; {measured.per_s:.1f}/s, others took {others:.2f} cores; "
        f"Redis {costs.redis_bytes_each:.0f} B, JetStream {costs.jetstream_writes_each:.2f} writes "
        f"{costs.jetstream_bytes_each:.0f} B, S3 {dict(costs.s3_requests_each)}, pods {dict(costs.pod_bytes)}"
    )
