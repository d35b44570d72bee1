"""Measures what the pytest plugin costs: its import in every run, the first Broker of a run, and each further one.

    python -m benchmarks.plugin_start [--runs 5]

Each run is an interpreter of its own, as a run of pytest is. The project is examples/report.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[1] / "examples" / "report"
STEPS = {
    "plugin_import": "in every run of pytest: importing the plugin",
    "imports": "in a run that uses the fixture: importing the runtime's parts",
    "first_broker": "nats-server started, connected, streams and consumers made, Triggers delivering",
    "first_ready": "both: what the first test waits for",
    "next_broker": "a further Broker, the median of ten",
    "first_event": "an event sent, delivered and seen by the test",
    "dead_letter": "four attempts and the dead letter, with 7 s of backoff skipped",
}
PROGRAM = """
import json, pathlib, sys, tempfile, time
import pytest
project, took = sys.argv[1], {}
began = time.perf_counter()
import darkroom.testing.plugin
took["plugin_import"] = time.perf_counter() - began
began = time.perf_counter()
from darkroom.testing.session import Session
took["imports"] = time.perf_counter() - began
with tempfile.TemporaryDirectory() as folder:
    session = Session(folder=pathlib.Path(folder), rootdir=pathlib.Path(project))
    first = session.broker()
    broker = first.__enter__()
    took["first_broker"] = session.ready_s[0]
    took["first_ready"] = took["imports"] + took["first_broker"]
    for _ in range(10):
        with session.broker():
            pass
    took["next_broker"] = sorted(session.ready_s[1:])[5]
    began = time.perf_counter()
    broker.send("shop.order.placed", {})
    broker.received("count")
    took["first_event"] = time.perf_counter() - began
    broker.subscribe("count", lambda event: 503)
    began = time.perf_counter()
    broker.send("shop.order.placed", {})
    broker.dead_letters("count")
    took["dead_letter"] = time.perf_counter() - began
    first.__exit__(None, None, None)
    session.stop()
print(json.dumps(took))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    runs = [_run() for _ in range(parser.parse_args().runs)]
    print(f"median of {len(runs)} runs, milliseconds:")
    for step, meaning in STEPS.items():
        values = [run[step] * 1000 for run in runs]
        print(
            f"  {step:<15}{statistics.median(values):>8.1f}   from {min(values):.1f} to {max(values):.1f}   {meaning}"
        )


def _run() -> dict[str, float]:
    command = [sys.executable, "-c", PROGRAM, str(EXAMPLE)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    took: dict[str, float] = json.loads(done.stdout)
    return took


if __name__ == "__main__":
    main()
