"""A Redis that is too small: what clients get while it is full and afterwards, and when the alert comes.

    python -m benchmarks.small_redis [--maxmemory 64mb] [--seconds 600] [--retention 60s] [--per-s 20]
                                     [--sampled-jobs 400] [--parts load,alert] [--save]

Two parts:

- Load: JOB_RETENTION is 60 s, and jobs come through the API at a steady rate. A machine with two cores does not fill
  64 MB so (100 jobs per second, kept for a minute, are 4 MB). So Redis is filled beforehand with finished jobs, by the
  job store's own transitions, up to more than the share at which no more jobs are taken; they expire when the load
  begins. While it is full, clients get 503 `backlog.full` and nothing else; afterwards every job is accepted: finished
  jobs block no new ones (docs/reliability.md, row 18).
- Alert: nothing expires. Finished jobs come in until the store refuses more. Its memory is sampled after each so many
  jobs, and a sample counts as a minute of a load that is as steady and much slower. Prometheus' own promtool then says
  when DarkroomStoreNearlyFull, as it is shipped, would have fired: an hour before.

The full size takes about fourteen minutes on two cores; `--maxmemory 12mb --seconds 40 --retention 10s
--sampled-jobs 60` about two.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from redis import Redis

from benchmarks.measure import machine
from benchmarks.measure.alerting import PromtoolMissingError, first_firing_minute
from benchmarks.measure.backlog import Submitter
from benchmarks.measure.ends import Ends
from benchmarks.measure.finished_jobs import Filler, Memory, filler, memory_of
from benchmarks.measure.keyed_stack import keyed_stack
from benchmarks.measure.small_picture import WIDTH_PX, small_picture
from benchmarks.measure.steady_load import ACCEPTED, Answer, Load
from benchmarks.pipeline import RESULTS
from darkroom.adapters.jobs.admission import MAX_MEMORY_SHARE, JobName
from darkroom.adapters.jobs.redis import RedisJobStore
from darkroom.contract.api_keys import key_id_of
from darkroom.contract.errors import BacklogFullError
from tests.servers import redis_server, running

ALERT = "DarkroomStoreNearlyFull"
FILLED = MAX_MEMORY_SHARE + 0.05
FILLED_AT_ONCE = 500
EXPIRE_AFTER_S = 20.0
"""The time between the end of filling and the first record's end, about."""
FACTS_KEPT_S = 1.0
"""Longer than ingest's knowledge of the memory is old, and a request takes."""
WITHIN_S = 300.0
SHOWN_ROWS = 10


@dataclass(frozen=True, kw_only=True)
class Sample:
    at_s: float
    share: float


FULL = "503 backlog.full"


@dataclass(frozen=True, kw_only=True)
class Loaded:
    answers: Sequence[Answer]
    samples: Sequence[Sample]
    filled_jobs: int
    unfinished: int
    """Accepted jobs that did not end as completed."""

    @property
    def room_at_s(self) -> float:
        """When the store was below the share at which it refuses, and remained there."""
        full = [sample.at_s for sample in self.samples if sample.share > MAX_MEMORY_SHARE]
        return max(full, default=0.0)

    def count(self, outcome: str) -> int:
        return sum(answer.outcome == outcome for answer in self.answers)

    @property
    def others(self) -> Counter[str]:
        """Answers that there must not be."""
        return Counter(answer.outcome for answer in self.answers if answer.outcome not in {ACCEPTED, FULL})

    @property
    def refused_with_room(self) -> int:
        late = self.room_at_s + FACTS_KEPT_S
        return sum(answer.outcome == FULL and answer.at_s > late for answer in self.answers)


@dataclass(frozen=True, kw_only=True)
class Filled:
    """Minutes, one per sample."""

    samples: Sequence[Memory]
    refused_at: int
    alert_at: int | None
    jobs: int

    @property
    def lead(self) -> int | None:
        return None if self.alert_at is None else self.refused_at - self.alert_at


@contextmanager
def small_redis(folder: Path, maxmemory: str) -> Iterator[str]:
    with running(redis_server(folder / "redis", "--maxmemory", maxmemory, "--appendfsync", "no")) as redis:
        yield redis.url


# --- a steady load, with retention -----------------------------------------------------------------------------------


def load(
    folder: Path,
    *,
    maxmemory: str,
    retention: str,
    seconds: float,
    per_s: float,
    expire_after_s: float = EXPIRE_AFTER_S,
) -> Loaded:
    with ExitStack() as resources:
        redis_url = resources.enter_context(small_redis(folder, maxmemory))
        keyed = resources.enter_context(
            keyed_stack(folder / "stack", "--redis", redis_url, keys=1, settings={"JOB_RETENTION": retention})
        )
        [key] = keyed.keys
        redis: Redis = Redis.from_url(redis_url)
        resources.callback(redis.close)
        submitter = resources.enter_context(Submitter(keyed.stack, key, small_picture(), width=WIDTH_PX))
        ends = resources.enter_context(Ends(redis_url))
        filling = resources.enter_context(filler(redis_url, key_id_of(key) or ""))
        filled_jobs = _fill(filling, redis, expire_after_s)
        loading, samples = Load(submitter, per_s), []
        thread = threading.Thread(target=loading.run, args=(seconds,))
        began = time.monotonic()
        thread.start()
        while thread.is_alive():
            samples.append(Sample(at_s=time.monotonic() - began, share=memory_of(redis).share))
            thread.join(timeout=0.2)
        accepted = {answer.job_id for answer in loading.answers if answer.job_id}
        ends.wait_for(accepted, within_s=WITHIN_S)
        return Loaded(
            answers=loading.answers, samples=samples, filled_jobs=filled_jobs, unfinished=len(ends.failed & accepted)
        )


def _fill(filling: Filler, redis: Redis, expire_after_s: float) -> int:
    """Fill the store with finished jobs that begin to expire soon after."""
    empty, rate = memory_of(redis), filling.rate()
    filling.finish(FILLED_AT_ONCE, kept_s=1.0)
    each_bytes = max(500.0, (memory_of(redis).used_bytes - empty.used_bytes) / FILLED_AT_ONCE)
    left = (FILLED * empty.max_bytes - empty.used_bytes) / each_bytes
    kept_s = left / rate + expire_after_s
    print(f"filling with about {left:.0f} finished jobs, kept for {kept_s:.0f} s", flush=True)
    jobs = 0
    while memory_of(redis).share < FILLED:
        filling.finish(FILLED_AT_ONCE, kept_s=kept_s)
        jobs += FILLED_AT_ONCE
    return jobs


# --- no retention: when the alert comes ------------------------------------------------------------------------------


def fill_up(folder: Path, *, maxmemory: str, sampled_jobs: int) -> Filled:
    """Fill the store until it refuses. Raises PromtoolMissingError."""
    samples: list[Memory] = []
    with ExitStack() as resources:
        redis_url = resources.enter_context(small_redis(folder, maxmemory))
        redis: Redis = Redis.from_url(redis_url)
        resources.callback(redis.close)
        filling = resources.enter_context(filler(redis_url, "owner"))
        store = RedisJobStore(redis_url, facts_kept_s=0)
        resources.callback(store.close)
        filling.finish(sampled_jobs, kept_s=None)
        samples.append(memory_of(redis))
        while _has_room(store):
            filling.finish(sampled_jobs, kept_s=None)
            samples.append(memory_of(redis))
    series = {
        "redis_memory_used_bytes": [sample.used_bytes for sample in samples],
        "redis_maxmemory_bytes": [sample.max_bytes for sample in samples],
    }
    return Filled(
        samples=samples,
        refused_at=len(samples) - 1,
        alert_at=first_firing_minute(ALERT, series),
        jobs=sampled_jobs * len(samples),
    )


def _has_room(store: RedisJobStore) -> bool:
    try:
        store.admission("owner", [JobName()])
    except BacklogFullError:
        return False
    return True


# --- reporting -------------------------------------------------------------------------------------------------------


def load_report(loaded: Loaded, *, seconds: float) -> str:
    lines = ["| second | store used | accepted | 503 backlog.full | others |", "|---|---|---|---|---|"]
    step_s = seconds / SHOWN_ROWS
    for row in range(SHOWN_ROWS):
        answers = [one for one in loaded.answers if row * step_s <= one.at_s < (row + 1) * step_s]
        shares = [one.share for one in loaded.samples if row * step_s <= one.at_s < (row + 1) * step_s]
        counts = Counter(one.outcome for one in answers)
        others = sum(counts.values()) - counts[ACCEPTED] - counts[FULL]
        lines.append(
            f"| {row * step_s:.0f} | {max(shares, default=0):.0%} | {counts[ACCEPTED]} | {counts[FULL]} | {others} |"
        )
    lines += [
        "",
        f"- {loaded.filled_jobs:,} finished jobs were there when the load began; below {MAX_MEMORY_SHARE:.0%} from "
        f"second {loaded.room_at_s:.0f} on",
        f"- {loaded.count(ACCEPTED)} accepted, {loaded.count(FULL)} answered {FULL} while it was full, "
        f"{loaded.refused_with_room} afterwards; other answers: {dict(loaded.others) or 'none'}",
        f"- accepted jobs that failed: {loaded.unfinished}",
    ]
    return "\n".join(lines) + "\n"


def fill_report(filled: Filled) -> str:
    fired = "never" if filled.alert_at is None else f"at minute {filled.alert_at}, {filled.lead} minutes before"
    return (
        f"- without retention {filled.jobs:,} jobs fit; the store refuses at minute {filled.refused_at}\n"
        f"- {ALERT} fires {fired}; an hour is asked for\n"
    )


def parsed_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--maxmemory", default="64mb", help="as Redis takes it")
    parser.add_argument("--seconds", type=float, default=600.0, help="of the load")
    parser.add_argument("--retention", default="60s", help="JOB_RETENTION")
    parser.add_argument("--per-s", type=float, default=20.0, help="requests per second")
    parser.add_argument("--sampled-jobs", type=int, default=400, help="between two samples of the filling store")
    parser.add_argument("--parts", default="load,alert")
    parser.add_argument("--save", action="store_true", help="write the table to benchmarks/results")
    return parser.parse_args()


def _parts(folder: Path, options: argparse.Namespace) -> Iterator[str]:
    chosen = options.parts.split(",")
    if "load" in chosen:
        loaded = load(
            folder / "load",
            maxmemory=options.maxmemory,
            retention=options.retention,
            seconds=options.seconds,
            per_s=options.per_s,
        )
        yield load_report(loaded, seconds=options.seconds)
    if "alert" in chosen:
        try:
            yield fill_report(fill_up(folder / "alert", maxmemory=options.maxmemory, sampled_jobs=options.sampled_jobs))
        except PromtoolMissingError as exc:
            yield f"- the alert was not evaluated: {exc}\n"


def main() -> None:
    options, head = parsed_arguments(), machine.description()
    parts = []
    with tempfile.TemporaryDirectory() as name:
        for part in _parts(Path(name), options):
            print(part, flush=True)
            parts.append(part)
    command = " ".join(["python -m benchmarks.small_redis", *sys.argv[1:]])
    text = "\n".join(["# A small Redis", "", *(f"- {line}" for line in [*head, f"`{command}`"]), "", *parts])
    if options.save:
        (RESULTS / "small-redis.md").write_text(text)


if __name__ == "__main__":
    main()
