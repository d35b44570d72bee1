"""The whole pipeline on Redis and on PostgreSQL in turns: jobs per second, the store's CPU time and bytes per job.

    python -m benchmarks.stores [--seconds 20] [--rounds 4] [--in-flight 32] [--save]

Two stacks run, one on each store, and take turns on the same cores; the other one is idle meanwhile. The picture is a
JPEG of 2048 x 1536, scaled to 512 x 384. Each ratio is taken within one round, and the median of the rounds counts.
Bytes are those that the store has at the end, divided by the jobs that it has: of Redis in memory and in the
append-only file, of PostgreSQL the finished jobs with their indexes, and the log that was written for them.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg
from redis import Redis

from benchmarks.measure import machine
from benchmarks.measure.clients import Endings, Http, Pipeline, PostgresEndings
from benchmarks.measure.closed_loop import ClosedLoop, Exchange, Measured
from benchmarks.measure.cpu_time import Family
from benchmarks.pipeline import RESULTS, family_of
from benchmarks.pipeline_rounds import CASES
from darkroom.imaging.photograph import make_photograph
from tests.stack import RunningStack, running_stack

CASE = CASES[0]
REDIS, POSTGRES = "redis", "postgres"
GOAL = 0.9
WARM_UP_S = 5.0
_FINISHED = """
SELECT coalesce(sum(pg_total_relation_size(i.inhrelid)), 0), (SELECT count(*) FROM darkroom.finished)
FROM pg_inherits AS i WHERE i.inhparent = 'darkroom.finished'::regclass
"""


@dataclass(frozen=True, kw_only=True)
class Contestant:
    exchange: Exchange
    family: Family


@dataclass(frozen=True, kw_only=True)
class Bytes:
    """Per job that ended."""

    what: str
    at_rest: float
    log: float
    """Of the append-only file, or of the write-ahead log."""


async def measure(stacks: Mapping[str, RunningStack], options: argparse.Namespace) -> list[dict[str, Measured]]:
    picture, rounds = make_photograph(*CASE.source, seed=7), []
    async with AsyncExitStack() as resources:
        http = await resources.enter_async_context(Http(connections=2 * options.in_flight + 8))
        endings = {
            REDIS: await resources.enter_async_context(Endings(stacks[REDIS].addresses["redis"])),
            POSTGRES: await resources.enter_async_context(PostgresEndings(stacks[POSTGRES].addresses["postgres"])),
        }
        contestants = {
            name: Contestant(
                exchange=Pipeline(stack.addresses["api"], http, endings[name], CASE.parameters).uploading(picture),
                family=family_of(stack),
            )
            for name, stack in stacks.items()
        }
        for number in range(options.rounds):
            measured = {}
            # Who was first is second in the next round.
            for name in list(contestants)[:: 1 if number % 2 == 0 else -1]:
                loop = ClosedLoop(contestants[name].exchange, in_flight=options.in_flight)
                measured[name] = await loop.measure(
                    [contestants[name].family], warm_up_s=WARM_UP_S, seconds=options.seconds
                )
            rounds.append(measured)
            print(_line(number + 1, measured), flush=True)
    return rounds


def _line(number: int, measured: Mapping[str, Measured]) -> str:
    each = ", ".join(f"{name} {measured[name].per_s:.1f}/s" for name in (REDIS, POSTGRES))
    return f"round {number}: {each}, ratio {_ratio(measured):.2f}, others {_others(measured):.0%}"


def _ratio(measured: Mapping[str, Measured]) -> float:
    return measured[POSTGRES].per_s / measured[REDIS].per_s


def _others(measured: Mapping[str, Measured]) -> float:
    """The share of a core that processes took which belong to neither stack's turn."""
    return max(each.others_s / each.seconds for each in measured.values())


def bytes_of_redis(stack: RunningStack) -> Bytes:
    client: Redis = Redis.from_url(stack.addresses["redis"], decode_responses=True)
    memory = client.info("memory")
    if not isinstance(memory, dict):
        raise TypeError(f"INFO answered {memory!r}")
    jobs = sum(1 for _ in client.scan_iter("darkroom:job:*", count=1000))
    client.close()
    log = sum(file.stat().st_size for file in (stack.data / "redis").rglob("*") if file.is_file())
    return Bytes(what="memory, append-only file", at_rest=int(memory["used_memory_dataset"]) / jobs, log=log / jobs)


def bytes_of_postgres(stack: RunningStack) -> Bytes:
    with psycopg.connect(stack.addresses["postgres"], autocommit=True) as client:
        found = client.execute(_FINISHED).fetchone()
        log = client.execute("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')").fetchone()
    if found is None or log is None:
        raise RuntimeError("PostgreSQL answered nothing")
    size, jobs = found
    return Bytes(what="table and indexes, write-ahead log", at_rest=float(size) / jobs, log=float(log[0]) / jobs)


# --- reporting -------------------------------------------------------------------------------------------------------


def report(rounds: Sequence[Mapping[str, Measured]], sizes: Mapping[str, Bytes]) -> str:
    ratio = statistics.median(_ratio(measured) for measured in rounds)

    def median(name: str, figure: str) -> float:
        values = {
            "per_s": [each[name].per_s for each in rounds],
            "cpu": [each[name].total_ms_each for each in rounds],
            "store": [each[name].milliseconds_each(name) for each in rounds],
        }
        return statistics.median(values[figure])

    rows = [
        ("jobs per second", *(f"{median(name, 'per_s'):.1f}" for name in (REDIS, POSTGRES))),
        ("CPU ms per job, all processes", *(f"{median(name, 'cpu'):.1f}" for name in (REDIS, POSTGRES))),
        ("CPU ms per job, the store", *(f"{median(name, 'store'):.2f}" for name in (REDIS, POSTGRES))),
        ("bytes per job at rest", *(f"{sizes[name].at_rest:,.0f}" for name in (REDIS, POSTGRES))),
        ("bytes per job in the log", *(f"{sizes[name].log:,.0f}" for name in (REDIS, POSTGRES))),
    ]
    lines = ["| | Redis | PostgreSQL |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows), ""]
    lines.append(f"PostgreSQL's throughput is {ratio:.2f} of Redis' (median of {len(rounds)} rounds; goal {GOAL:g}).")
    lines.append(f"In the round that was disturbed most, others took {max(map(_others, rounds)):.0%} of a core.")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20, help="of each turn")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--in-flight", type=int, default=32, help="jobs under way at any time")
    parser.add_argument("--save", action="store_true", help="write the table to benchmarks/results")
    options, head = parser.parse_args(), machine.description()
    with (
        tempfile.TemporaryDirectory() as folder,
        running_stack(Path(folder) / REDIS, verbose=False) as on_redis,
        running_stack(Path(folder) / POSTGRES, "--job-store", "postgres", verbose=False) as on_postgres,
    ):
        rounds = asyncio.run(measure({REDIS: on_redis, POSTGRES: on_postgres}, options))
        sizes = {REDIS: bytes_of_redis(on_redis), POSTGRES: bytes_of_postgres(on_postgres)}
    command = " ".join(["python -m benchmarks.stores", *sys.argv[1:]])
    text = "# Redis and PostgreSQL as the job store\n\n" + "\n".join(f"- {line}" for line in [*head, f"`{command}`"])
    text += f"\n- {options.in_flight} jobs in flight, turns of {options.seconds:g} s\n\n{report(rounds, sizes)}"
    print(f"\n{text}")
    if options.save:
        (RESULTS / "stores.md").write_text(text)


if __name__ == "__main__":
    main()
