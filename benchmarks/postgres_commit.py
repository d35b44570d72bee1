"""What it costs in PostgreSQL that a job which was accepted survives: each setting of synchronous_commit in turns.

    python -m benchmarks.postgres_commit [--seconds 4] [--rounds 3] [--save]

A server and its copy by streaming replication, on one machine and one disk. Clients accept, claim and complete jobs.
`off` loses what was confirmed in the last fraction of a second when the machine loses power, and Darkroom refuses it;
`local` waits for the server's own disk; `remote_write` also until the copy's operating system has it, `on` until the
copy's disk has it, `remote_apply` until the copy shows it.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from benchmarks.measure import machine
from benchmarks.pipeline import RESULTS
from darkroom.adapters.jobs import Lease
from darkroom.adapters.jobs.postgres import schema
from darkroom.adapters.jobs.postgres.store import PostgresJobStore
from tests.contract.job_stores import a_result, new_job
from tests.faults.postgres_pair import PostgresPair

SETTINGS = ("off", "local", "remote_write", "on", "remote_apply")
THREADS = 8


def jobs_per_second(url: str, seconds: float) -> float:
    with closing(PostgresJobStore(url)) as store, ThreadPoolExecutor(THREADS) as threads:
        began = time.monotonic()
        done = sum(threads.map(lambda _: _work(store, began + seconds), range(THREADS)))
        return done / (time.monotonic() - began)


def _work(store: PostgresJobStore, until: float) -> int:
    done = 0
    while time.monotonic() < until:
        lease = store.claim(store.accept(new_job()).record.job_id, worker="w")
        if not isinstance(lease, Lease):
            raise RuntimeError(f"the claim was answered {lease}")
        store.complete(lease, a_result(lease), {"render": 61})
        done += 1
    return done


def measure(pair: PostgresPair, *, seconds: float, rounds: int) -> list[Mapping[str, float]]:
    found: list[Mapping[str, float]] = []
    for _ in range(rounds):
        figures: dict[str, float] = {}
        for setting in SETTINGS:
            with pair.client() as client:
                client.execute(f"ALTER DATABASE postgres SET synchronous_commit = {setting}")
            figures[setting] = jobs_per_second(pair.url, seconds)
        found.append(figures)
    return found


def report(rounds: Sequence[Mapping[str, float]]) -> str:
    lines = ["| synchronous_commit | jobs a second | of `off`, median of the rounds |", "|---|---|---|"]
    for setting in SETTINGS:
        per_s = statistics.median(each[setting] for each in rounds)
        share = statistics.median(each[setting] / each["off"] for each in rounds)
        lines.append(f"| `{setting}` | {per_s:.0f} | {share:.2f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4, help="of each turn")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--save", action="store_true", help="write the table to benchmarks/results")
    options, head = parser.parse_args(), machine.description()
    with tempfile.TemporaryDirectory(prefix="darkroom-commit-") as folder:
        pair = PostgresPair(Path(folder), fsync="on")
        try:
            pair.start()
            schema.prepare(pair.url)
            rounds = measure(pair, seconds=options.seconds, rounds=options.rounds)
        finally:
            pair.kill()
    command = " ".join(["python -m benchmarks.postgres_commit", *sys.argv[1:]])
    text = "# What a commit waits for\n\n" + "\n".join(f"- {line}" for line in [*head, f"`{command}`"])
    text += f"\n\n{report(rounds)}"
    print(text)
    if options.save:
        (RESULTS / "postgres-commit.md").write_text(text)


if __name__ == "__main__":
    main()
