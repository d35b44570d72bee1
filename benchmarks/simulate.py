"""How long the simulator takes for a million arrivals, by what they pass through, and whether a run can be repeated.

    python -m benchmarks.simulate [--arrivals 1000000]

The limit is 10 s of CPU time on one core for each. No peer: the simulator that Knative had has been still since 2020.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from array import array
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256

from darkroom.contract.lanes import LaneWindow
from darkroom.local.eventing.delivery import ConsumerSettings, DeliverySpec
from darkroom.manifests.revision import ScalingConfig
from darkroom.simulate import Arrivals, Distribution, Flow, Scenario, ServiceModel, Target, encode, run

PER_S = 200.0
LIMIT_S = 10.0
CONSUMER = ConsumerSettings(max_deliver=4, ack_wait_s=120.0, max_ack_pending=200, http_timeout_s=119.8)
SERVICE = ServiceModel(
    name="resize",
    scaling=ScalingConfig(container_concurrency=2, target=2.0, target_utilization=0.7, max_scale=40),
    service_time=Distribution.lognormal(0.1, 0.6),
)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arrivals", type=int, default=1_000_000, help="how many arrivals each case has")
    options = parser.parse_args(arguments)
    print(f"{'case':<44}{'CPU s':>8}{'us each':>9}{'pods':>7}{'p95 s':>8}  digest")
    slowest_s = 0.0
    for name, scenario in cases(options.arrivals):
        began_s = time.process_time()
        result = run(scenario)
        took_s = time.process_time() - began_s
        slowest_s = max(slowest_s, took_s)
        (latencies,) = result.latencies.values()
        pods = result.pod_seconds / result.duration_s
        digest = sha256(encode(result)).hexdigest()[:12]
        each_us = took_s / options.arrivals * 1e6
        print(f"{name:<44}{took_s:>8.2f}{each_us:>9.2f}{pods:>7.1f}{latencies.percentile(95):>8.3f}  {digest}")
    print(f"slowest: {slowest_s:.2f} s of CPU time for {options.arrivals:,} arrivals; limit {LIMIT_S:g} s a million")
    return 0 if slowest_s <= LIMIT_S * max(1.0, options.arrivals / 1e6) else 1


def cases(arrivals: int) -> Iterator[tuple[str, Scenario]]:
    times_s = poisson(arrivals, PER_S)
    duration_s = times_s[-1] + 60
    direct = Arrivals(name="requests", kind=Target.SERVICE, to="resize", times_s=times_s)
    yield "HTTP requests to a Service", Scenario(services=(SERVICE,), arrivals=(direct,), duration_s=duration_s)
    events = replace(direct, kind=Target.TRIGGER)
    flow = Flow(
        name="resize",
        broker="default/darkroom",
        delivery=DeliverySpec(retry=3, backoff_delay_s=1.0),
        consumer=CONSUMER,
        service="resize",
    )
    brokered = Scenario(services=(SERVICE,), flows=(flow,), arrivals=(events,), duration_s=duration_s)
    yield "events through a Trigger", brokered
    failing = replace(SERVICE, failure_rate=0.02)
    yield "events of which 2 % fail and are retried", replace(brokered, services=(failing,))
    owners = [f"key-{number % 7}" for number in range(arrivals)]
    windowed = replace(flow, window=LaneWindow(100))
    yield (
        "events of seven keys in a window of 100",
        replace(brokered, flows=(windowed,), arrivals=(replace(events, owners=owners),)),
    )
    yield "events on a machine of 32 cores", replace(brokered, cores=32.0)


def poisson(number: int, per_s: float) -> array[float]:
    draw = random.Random(1)
    at_s, times_s = 0.0, array("d")
    for _ in range(number):
        at_s += draw.expovariate(per_s)
        times_s.append(at_s)
    return times_s


if __name__ == "__main__":
    sys.exit(main())
