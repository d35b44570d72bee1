"""What has gathered while the Broker was away: how long it takes when NATS is back.

    python -m benchmarks.drain [--jobs 12000] [--keys 20] [--away frozen|killed] [--of-one-key 600] [--frozen-s 15]
                               [--window 40] [--save]

Two measurements on one stack:

- Small jobs of many keys are accepted while NATS is away, and it comes back. They are compared with as many jobs that
  are accepted while NATS is there and the functions stand still, and are then let go: the same work, from a full
  outbox, with a Broker that was never away. The first takes at most 1.1 times as long (docs/reliability.md, row 16).
- Jobs of one key are accepted while NATS is frozen for some seconds. They are done within 15 s of its return.

The full size takes about six minutes on two cores; `--jobs 1000 --of-one-key 200` about one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from benchmarks.measure import machine
from benchmarks.measure.backlog import Submitter, held, in_batches
from benchmarks.measure.ends import Ends
from benchmarks.measure.keyed_stack import keyed_stack
from benchmarks.measure.others import Others
from benchmarks.measure.small_picture import WIDTH_PX, small_picture
from benchmarks.pipeline import RESULTS, family_of
from darkroom.adapters.jobs.redis import RedisJobStore
from darkroom.contract import metrics
from tests.servers import Server, nats_server, running
from tests.stack import RunningStack

MOST_OF_THE_OTHER = 1.1
ONE_KEYS_JOBS_WITHIN_S = 15.0
WARM_UP_JOBS = 200
WITHIN_S = 900.0
SHOWN_STEPS = 12

Hold = Callable[[], AbstractContextManager[Callable[[], None]]]
"""Keeps jobs from being done. What it gives is called again and again, for as long as it lasts."""


@dataclass(frozen=True, kw_only=True)
class Drained:
    what: str
    jobs: int
    accepted_in_s: float
    took_s: float
    """From the Broker's return, or the functions', to the last job's end."""
    first_after_s: float
    longest_gap_s: float
    """The longest time in which no job ended, while some waited."""
    per_s: Sequence[float]
    """Jobs per second, in steps of equal length."""
    emitted_again: int
    """By recovery's sweep, or by whoever found the Broker back."""
    failed: int
    others_cores: float
    """What other processes took meanwhile, NATS included."""

    def line(self) -> str:
        rates = " ".join(f"{rate:.0f}" for rate in self.per_s)
        return (
            f"{self.what:<34} {self.jobs:>6} jobs, accepted in {self.accepted_in_s:.1f} s, done in {self.took_s:.1f} s "
            f"({self.jobs / self.took_s:.1f}/s); the first after {self.first_after_s:.1f} s, longest gap "
            f"{self.longest_gap_s:.2f} s; emitted again: {self.emitted_again}; failed: {self.failed}; "
            f"others took {self.others_cores:.2f} cores\n"
            f"{'':<34} jobs/s over time: {rates}"
        )


@dataclass(frozen=True, kw_only=True)
class Figures:
    never_away: Drained
    away: Drained
    one_key: Drained

    @property
    def ratio(self) -> float:
        return self.away.took_s / self.never_away.took_s


@dataclass(frozen=True, kw_only=True)
class Queue:
    """A running stack with a NATS of its own, and what submits to it."""

    stack: RunningStack
    nats: Server
    submitters: Sequence[Submitter]
    ends: Ends
    store: RedisJobStore

    def drained(self, what: str, hold: Hold, jobs: int, keys: int, *, for_s: float = 0.0) -> Drained:
        """Accept the jobs while `hold` lasts, which is `for_s` at least; then wait for their ends."""
        emitted_before, began = self._emitted_again(), time.monotonic()
        with hold() as keep:
            ids = self._submit(jobs, keys, keep)
            accepted_in_s = time.monotonic() - began
            time.sleep(max(0.0, for_s - accepted_in_s))
        back_at, others = time.time(), Others([family_of(self.stack)])
        last_at = self.ends.wait_for(ids, within_s=WITHIN_S)
        ended = self.ends.between(back_at, last_at)
        return Drained(
            what=what,
            jobs=jobs,
            accepted_in_s=accepted_in_s,
            took_s=last_at - back_at,
            first_after_s=ended[0] - back_at,
            longest_gap_s=max((after - before for before, after in pairwise(ended)), default=0.0),
            per_s=_rates(ended, back_at, last_at),
            emitted_again=self._emitted_again() - emitted_before,
            failed=len(self.ends.failed & set(ids)),
            others_cores=others.cores(),
        )

    def _submit(self, jobs: int, keys: int, keep: Callable[[], None]) -> list[str]:
        ids: list[str] = []
        for number, size in enumerate(in_batches(jobs, keys=keys)):
            ids += self.submitters[number % keys].submit(size)
            keep()
        return ids

    def _emitted_again(self) -> int:
        counts = self.store.statistics()[metrics.JOBS_EMITTED_AGAIN].values()
        return sum(int(count) for count in counts if isinstance(count, int | float))


def _rates(ended: Sequence[float], began_at: float, ended_at: float) -> list[float]:
    step_s = (ended_at - began_at) / SHOWN_STEPS
    places = [min(int((at - began_at) / step_s), SHOWN_STEPS - 1) for at in ended]
    return [places.count(place) / step_s for place in range(SHOWN_STEPS)]


@contextmanager
def running_queue(folder: Path, *, keys: int, settings: Mapping[str, str], sweep: bool = True) -> Iterator[Queue]:
    with ExitStack() as resources:
        nats = resources.enter_context(running(nats_server(folder / "nats")))
        keyed = resources.enter_context(
            keyed_stack(folder / "stack", "--nats", nats.url, keys=keys, settings=settings, sweep=sweep)
        )
        redis_url, picture = keyed.stack.addresses["redis"], small_picture()
        store = RedisJobStore(redis_url)
        resources.callback(store.close)
        yield Queue(
            stack=keyed.stack,
            nats=nats,
            submitters=[
                resources.enter_context(Submitter(keyed.stack, key, picture, width=WIDTH_PX)) for key in keyed.keys
            ],
            ends=resources.enter_context(Ends(redis_url)),
            store=store,
        )


def held_functions(queue: Queue) -> Hold:
    @contextmanager
    def hold() -> Iterator[Callable[[], None]]:
        with held(queue.stack) as holding:
            yield holding.hold

    return hold


def frozen(nats: Server) -> Hold:
    @contextmanager
    def hold() -> Iterator[Callable[[], None]]:
        with nats.paused():
            yield _nothing

    return hold


def killed(nats: Server) -> Hold:
    @contextmanager
    def hold() -> Iterator[Callable[[], None]]:
        nats.kill()
        try:
            yield _nothing
        finally:
            nats.start()

    return hold


def _nothing() -> None:
    pass


def measure(queue: Queue, *, jobs: int, keys: int, away: str, of_one_key: int, frozen_s: float) -> Figures:
    leave = {"frozen": frozen, "killed": killed}[away]
    queue.drained("warm-up", held_functions(queue), min(WARM_UP_JOBS, jobs), keys)
    never_away = queue.drained("the Broker was never away", held_functions(queue), jobs, keys)
    print(never_away.line(), flush=True)
    was_away = queue.drained(f"NATS was {away}", leave(queue.nats), jobs, keys)
    print(was_away.line(), flush=True)
    one_key = queue.drained(
        f"one key, NATS was frozen {frozen_s:g} s", frozen(queue.nats), of_one_key, 1, for_s=frozen_s
    )
    print(one_key.line(), flush=True)
    return Figures(never_away=never_away, away=was_away, one_key=one_key)


def report(figures: Figures) -> str:
    each = (figures.never_away, figures.away, figures.one_key)
    lines = [
        "| | jobs | accepted in s | done in s | per second | first after s | longest gap s | emitted again | others |"
    ]
    lines += ["|---|---|---|---|---|---|---|---|---|"]
    lines += [
        f"| {one.what} | {one.jobs:,} | {one.accepted_in_s:.1f} | {one.took_s:.1f} | {one.jobs / one.took_s:.1f} "
        f"| {one.first_after_s:.2f} | {one.longest_gap_s:.2f} | {one.emitted_again} | {one.others_cores:.2f} |"
        for one in each
    ]
    lines += ["", f"Jobs per second in {SHOWN_STEPS} equal steps:", ""]
    lines += [f"- {one.what}: {' '.join(f'{rate:.0f}' for rate in one.per_s)}" for one in each]
    lines += [
        "",
        f"- away / never away: {figures.ratio:.2f}, at most {MOST_OF_THE_OTHER}",
        f"- one key: {figures.one_key.took_s:.1f} s, at most {ONE_KEYS_JOBS_WITHIN_S:g} s",
    ]
    return "\n".join(lines) + "\n"


def parsed_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=12_000, help="in the outbox, of all keys")
    parser.add_argument("--keys", type=int, default=20)
    parser.add_argument("--away", choices=("frozen", "killed"), default="killed", help="what NATS is meanwhile")
    parser.add_argument("--of-one-key", type=int, default=600, help="jobs of one key while NATS is frozen")
    parser.add_argument("--frozen-s", type=float, default=15.0)
    parser.add_argument("--window", default="40", help="BROKER_WINDOW; off: none")
    parser.add_argument("--save", action="store_true", help="write the table to benchmarks/results")
    return parser.parse_args()


def main() -> None:
    options, head = parsed_arguments(), machine.description()
    settings = {"BROKER_WINDOW": options.window}
    with (
        tempfile.TemporaryDirectory() as name,
        running_queue(Path(name), keys=options.keys, settings=settings) as queue,
    ):
        figures = measure(
            queue,
            jobs=options.jobs,
            keys=options.keys,
            away=options.away,
            of_one_key=options.of_one_key,
            frozen_s=options.frozen_s,
        )
    command = " ".join(["python -m benchmarks.drain", *sys.argv[1:]])
    text = "\n".join(["# The drain", "", *(f"- {line}" for line in [*head, f"`{command}`"]), "", report(figures)])
    print(f"\n{text}")
    if options.save:
        (RESULTS / "drain.md").write_text(text)


if __name__ == "__main__":
    main()
