"""What ten million finished jobs cost in PostgreSQL: the p99 of each call, compared with an empty store; a day that is
dropped under load.

    python -m benchmarks.postgres_scale [--jobs 10000000] [--calls 3000] [--save]

One server has two job stores, one nearly empty and one with finished jobs of a week, made by SQL. Calls to both take
turns, so that whatever disturbs the machine disturbs both. Each commit waits for the disk. Then clients work on the
full store for as long as a day's partition is dropped, and each call that was under way at that moment is compared
with those before.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psycopg

from benchmarks.measure import machine
from benchmarks.measure.many_finished import DAYS, OWNERS, fill
from benchmarks.pipeline import RESULTS
from darkroom.adapters.jobs import Lease
from darkroom.adapters.jobs.postgres import schema
from darkroom.adapters.jobs.postgres.store import PostgresJobStore
from darkroom.contract.errors import ImageCrashedError
from tests.contract.job_stores import a_result, new_job
from tests.servers import postgres_server, running

AnswerT = TypeVar("AnswerT")
CRASHED = ImageCrashedError("the worker ended without reporting")
CALLS = ("accept", "claim", "complete", "list", "list deep", "sweep")
GOAL_RATIO, GOAL_DELAY_MS = 1.5, 100
IN_A_TURN = 50
FEW = 8_000
"""Finished jobs of the nearly empty store: enough for a full page of each owner, so that both answer with as much."""
SETTLE_S = 5.0
DROPS = 3
_A_TENTH_DIES = """
UPDATE darkroom.jobs SET due = now() - interval '1 s', lease = now() - interval '1 s' WHERE random() < 0.1
"""
_SETTINGS = {
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "20min",
    "wal_compression": "on",
    "jit": "off",
    "autovacuum_naptime": "5s",
}


@dataclass(kw_only=True)
class Timings:
    """Milliseconds of each call, by what was called."""

    of: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    @contextmanager
    def timing(self, call: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.of[call].append((time.perf_counter() - began) * 1000)

    def quantile(self, call: str, share: float) -> float:
        ordered = sorted(self.of[call])
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


# --- calls in turns --------------------------------------------------------------------------------------------------


def take_turn(store: PostgresJobStore, client: psycopg.Connection[Any], timings: Timings, number: int) -> None:
    """Make every call some times, as functions do."""
    leases = []
    for n in range(IN_A_TURN):
        owner = f"key-{(number * IN_A_TURN + n) % OWNERS}"
        with timings.timing("accept"):
            job_id = store.accept(new_job(owner=owner, idempotency_key=f"{number}-{n}")).record.job_id
        store.emitted(job_id, 1)
        with timings.timing("claim"):
            lease = store.claim(job_id, worker="w")
        if not isinstance(lease, Lease):
            raise RuntimeError(f"the claim was answered {lease}")
        leases.append(lease)
        with timings.timing("list"):
            page = store.list_jobs(owner, limit=20)
        if page.next is not None:
            with timings.timing("list deep"):
                store.list_jobs(owner, limit=20, after=page.next)
    # A tenth of the workers died: the sweep finds their jobs.
    client.execute(_A_TENTH_DIES)
    for _ in range(IN_A_TURN // 10):
        with timings.timing("sweep"):
            store.recover_overdue(limit=20, error=CRASHED)
    for lease in leases:
        with timings.timing("complete"):
            store.complete(lease, a_result(lease), {"fetch": 5, "render": 61, "store": 7})


def compare(empty_url: str, full_url: str, calls: int) -> tuple[Timings, Timings]:
    empty, full = Timings(), Timings()
    warm_up = Timings()
    with (
        closing(PostgresJobStore(empty_url)) as empty_store,
        closing(PostgresJobStore(full_url)) as full_store,
        psycopg.connect(empty_url, autocommit=True) as empty_client,
        psycopg.connect(full_url, autocommit=True) as full_client,
    ):
        pairs = ((empty_store, empty_client, empty), (full_store, full_client, full))
        for number in range(max(calls // IN_A_TURN, 1) + 2):
            for store, client, timings in pairs[:: 1 if number % 2 == 0 else -1]:
                take_turn(store, client, timings if number > 1 else warm_up, number)
    return empty, full


# --- a day is dropped ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Call:
    name: str
    began: float
    ended: float

    @property
    def ms(self) -> float:
        return (self.ended - self.began) * 1000


@dataclass(frozen=True, kw_only=True)
class Drop:
    tries: int
    """It gives up at once when it does not get the table's lock, and is tried again."""
    ms: float
    """Of the try that dropped it."""
    longest: Call
    """Of all that were under way during any try."""
    longest_before_ms: float


class Clients:
    """Threads that accept, claim, complete and list without a pause."""

    def __init__(self, url: str, *, threads: int = 4) -> None:
        self._store = PostgresJobStore(url)
        self._is_over = threading.Event()
        self._lock = threading.Lock()
        self.calls: list[Call] = []
        self._threads = [threading.Thread(target=self._work, args=(number,), daemon=True) for number in range(threads)]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()
        self._store.close()

    def _work(self, number: int) -> None:
        while not self._is_over.is_set():
            self._do_one_job(f"key-{number}")

    def _do_one_job(self, owner: str) -> None:
        store = self._store
        job_id = self._timed("accept", lambda: store.accept(new_job(owner=owner))).record.job_id
        lease = self._timed("claim", lambda: store.claim(job_id, worker="w"))
        if not isinstance(lease, Lease):
            raise RuntimeError(f"the claim was answered {lease}")
        self._timed("complete", lambda: store.complete(lease, a_result(lease), {"render": 61}))
        self._timed("list", lambda: store.list_jobs(owner, limit=20))
        self._timed("get", lambda: store.get(job_id))

    def _timed(self, name: str, call: Callable[[], AnswerT]) -> AnswerT:
        began = time.perf_counter()
        answer = call()
        with self._lock:
            self.calls.append(Call(name=name, began=began, ended=time.perf_counter()))
        return answer

    def during(self, began: float, ended: float) -> list[Call]:
        with self._lock:
            return [call for call in self.calls if call.began < ended and call.ended > began]


def drop_a_day(url: str, days_kept: int, clients: Clients, settle_s: float) -> Drop:
    time.sleep(settle_s)
    started = time.perf_counter()
    before = max(call.ms for call in clients.during(started - settle_s, started))
    with psycopg.connect(url, autocommit=True) as client:
        tries = 0
        while True:
            tries += 1
            began = time.perf_counter()
            try:
                # A job ends on its day and is kept for whole days from then: of a week, the first is past its time.
                dropped = client.execute("SELECT darkroom.drop_partitions(%s)", (f"{days_kept - 1} days",)).fetchone()
            except psycopg.errors.LockNotAvailable:
                time.sleep(1)
                continue
            ended = time.perf_counter()
            break
    if dropped is None or dropped[0] != 1:
        raise RuntimeError(f"{dropped} partitions were dropped, not one")
    time.sleep(1)
    longest = max(clients.during(started, ended + 0.1), key=lambda call: call.ms)
    return Drop(tries=tries, ms=(ended - began) * 1000, longest=longest, longest_before_ms=before)


def drop_days(url: str, number: int, settle_s: float) -> list[Drop]:
    with Clients(url) as clients:
        return [drop_a_day(url, days_kept, clients, settle_s) for days_kept in range(DAYS, DAYS - number, -1)]


# --- reporting -------------------------------------------------------------------------------------------------------


def report(empty: Timings, full: Timings, drops: Sequence[Drop], facts: Sequence[str]) -> str:
    lines = [
        "| call | empty, p50 ms | full, p50 ms | empty, p99 ms | full, p99 ms | p99, ratio |",
        "|---|---|---|---|---|---|",
    ]
    worst = 0.0
    for call in CALLS:
        if not empty.of[call] or not full.of[call]:
            continue
        ratio = full.quantile(call, 0.99) / empty.quantile(call, 0.99)
        worst = max(worst, ratio)
        medians = (f"{timings.quantile(call, 0.5):.2f}" for timings in (empty, full))
        nineties = (f"{timings.quantile(call, 0.99):.2f}" for timings in (empty, full))
        lines.append(f"| {' | '.join([call, *medians, *nineties, f'{ratio:.2f}'])} |")
    lines += ["", f"The worst ratio is {worst:.2f} (goal {GOAL_RATIO:g}). {' '.join(facts)}", "", _drops(drops)]
    return "\n".join(lines) + "\n"


def _drops(drops: Sequence[Drop]) -> str:
    lines = [
        "| day dropped | tries | ms | longest call meanwhile, ms | longest call in the seconds before, ms |",
        "|---|---|---|---|---|",
    ]
    for number, drop in enumerate(drops, start=1):
        longest = f"{drop.longest.ms:.0f} ({drop.longest.name})"
        lines.append(f"| {number} | {drop.tries} | {drop.ms:.0f} | {longest} | {drop.longest_before_ms:.0f} |")
    longest_ms = max(drop.longest.ms for drop in drops)
    lines += ["", f"While a day was dropped, no call took longer than {longest_ms:.0f} ms (goal {GOAL_DELAY_MS} ms)."]
    return "\n".join(lines)


def run(folder: Path, *, jobs: int, calls: int, drops: int = DROPS, settle_s: float = SETTLE_S) -> str:
    with running(postgres_server(folder, **_SETTINGS)) as server:
        empty_url, full_url = server.url, server.url.replace("/postgres", "/filled")
        with psycopg.connect(empty_url, autocommit=True) as client:
            client.execute("CREATE DATABASE filled")
        for url in (empty_url, full_url):
            schema.prepare(url)
        fill(empty_url, FEW)
        seconds = fill(full_url, jobs)
        with psycopg.connect(full_url, autocommit=True) as client:
            size = client.execute(
                "SELECT sum(pg_total_relation_size(inhrelid)) / (SELECT count(*) FROM darkroom.finished) "
                "FROM pg_inherits WHERE inhparent = 'darkroom.finished'::regclass"
            ).fetchone()
        facts = [f"{jobs:,} finished jobs were made in {seconds:.0f} s, of {size[0] if size else 0:,.0f} bytes each."]
        print(*facts, flush=True)
        empty, full = compare(empty_url, full_url, calls)
        return report(empty, full, drop_days(full_url, drops, settle_s), facts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=10_000_000, help="finished jobs in the full store")
    parser.add_argument("--calls", type=int, default=3000, help="of each kind, to each store")
    parser.add_argument("--save", action="store_true", help="write the table to benchmarks/results")
    options, head = parser.parse_args(), machine.description()
    with tempfile.TemporaryDirectory(prefix="darkroom-scale-") as folder:
        tables = run(Path(folder), jobs=options.jobs, calls=options.calls)
    command = " ".join(["python -m benchmarks.postgres_scale", *sys.argv[1:]])
    text = "# PostgreSQL with many finished jobs\n\n" + "\n".join(f"- {line}" for line in [*head, f"`{command}`"])
    text += f"\n\n{tables}"
    print(f"\n{text}")
    if options.save:
        (RESULTS / "postgres-scale.md").write_text(text)


if __name__ == "__main__":
    main()
