"""`make soak SECONDS=300 SEED=1 JOB_STORE=postgres`: a steady load under faults drawn from the seed, and the reckoning.

Exits with 1 when anything was lost, doubled or stuck, or when the last job ended later than 120 s after the last fault.
"""

# ruff: noqa: T201 - what it prints is what it is for

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from darkroom.imaging.photograph import make_photograph
from tests.faults.chaos import KINDS, Fault, Kinds, draw, inflict
from tests.faults.faulty_stack import FaultyStack, faulty_stack
from tests.faults.ledger import Ledger, PostResult, Verdict
from tests.faults.load import Load
from tests.faults.postgres_chaos import POSTGRES_KINDS
from tests.faults.postgres_stack import PostgresLedger, faulty_postgres_stack

ENDED_WITHIN_S = 120.0
RENDITIONS_SHARE, ENDING_SHARE = 0.3, 0.2
"""Of the jobs: those with several results, and those that are cancelled or erased."""


def main() -> int:
    options = _options()
    kinds = POSTGRES_KINDS if options.job_store == "postgres" else KINDS
    faults = draw(options.seed, seconds=options.seconds, every_s=options.every, kinds_of=kinds)
    print(
        f"seed {options.seed}: {len(faults)} faults in {options.seconds:g} s, {options.rate:g} jobs a second, "
        f"job store {options.job_store}"
    )
    for fault in faults:
        print(f"  {fault}")
    with tempfile.TemporaryDirectory(prefix="darkroom-soak-") as folder:
        if options.job_store == "postgres":
            with faulty_postgres_stack(Path(folder)) as on_postgres:
                return _soak(on_postgres, PostgresLedger(on_postgres), faults, kinds, options)
        with faulty_stack(Path(folder)) as faulty:
            return _soak(faulty, Ledger(faulty), faults, kinds, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--every", type=float, default=5.5, help="seconds between two faults, about")
    parser.add_argument("--rate", type=float, default=3, help="jobs a second")
    parser.add_argument("--job-store", choices=("redis", "postgres"), default="redis")
    return parser.parse_args()


def _soak(faulty: FaultyStack, ledger: Ledger, faults: list[Fault], kinds: Kinds, options: argparse.Namespace) -> int:
    picture = make_photograph(400, 300)
    faulty.slow(0.7)
    began = time.monotonic()
    shares = {"renditions_share": RENDITIONS_SHARE, "ending_share": ENDING_SHARE}
    with Load(ledger, picture, per_second=options.rate, seed=options.seed, **shares) as load:
        for fault in faults:
            time.sleep(max(0.0, began + fault.at_s - time.monotonic()))
            inflict(faulty, fault, kinds)
            print(f"  {time.monotonic() - began:6.1f} s  inflicted: {fault.kind}", flush=True)
        last_fault_at = time.monotonic()
    ledger.settle(within_s=ENDED_WITHIN_S - (time.monotonic() - last_fault_at))
    ended_s = time.monotonic() - last_fault_at
    time.sleep(20)  # the next sweep keeps what was given up last; this is no wait for a job
    print(f"erased      nothing was left {ledger.endings.settle(within_s=ENDED_WITHIN_S):.0f} s later")
    return _report(ledger, load, ledger.verdict(), faults, ended_s)


def _report(ledger: Ledger, load: Load, verdict: Verdict, faults: list[Fault], ended_s: float) -> int:
    counts = Counter(answer.result for answer in ledger.answers)
    print(f"\nfaults      {len(faults)}")
    for kind, count in sorted(Counter(fault.kind for fault in faults).items()):
        print(f"            {count:3d}  {kind}")
    print(
        f"POSTs       {len(ledger.answers)}: {counts[PostResult.ACCEPTED]} accepted, "
        f"{counts[PostResult.REFUSED]} refused with 503, {counts[PostResult.UNKNOWN]} without ingest's answer; "
        f"{load.given_up} submissions never got in"
    )
    for name, count in verdict.counts().items():
        print(f"{name:<12}{count}")
    print(f"last job    {ended_s:.1f} s after the last fault (limit {ENDED_WITHIN_S:g} s)")
    for case in verdict.cases():
        print(f"  {case}")
    return 1 if not verdict.is_clean or ended_s > ENDED_WITHIN_S else 0


if __name__ == "__main__":
    sys.exit(main())
