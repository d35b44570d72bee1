"""The simulator and the runtime, on the same manifests, traffic and draws, decide the same at the same time.

The runtime's part is its own activator, admission, pool and scaler; only processes and connections are replaced.
"""

from __future__ import annotations

import random
import tempfile
from array import array
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from darkroom.local.revisions.environment import revisions
from darkroom.manifests import Manifests, load
from darkroom.simulate import (
    LOCAL,
    Arrivals,
    Begin,
    ColdStart,
    Distribution,
    Result,
    Scenario,
    Target,
    from_manifests,
    run,
)
from darkroom.simulate.draws import stream
from tests.unit.simulate.clocked_runtime import Draws, Seen, play

AT_MOST = 70
"""Requests per example."""
UNTIL_S = 50.3
PREFIX = "autoscaling.knative.dev/"

SERVICE = """
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {{name: worker, namespace: default}}
spec:
  template:
    metadata:
      annotations: {annotations}
    spec:
      containerConcurrency: {concurrency}
      timeoutSeconds: {timeout}
      containers: [{{image: dev.local/worker}}]
"""

ANNOTATIONS = st.fixed_dictionaries(
    {},
    optional={
        "min-scale": st.integers(0, 3),
        "max-scale": st.integers(4, 9),
        "initial-scale": st.integers(1, 3),
        "activation-scale": st.integers(3, 4),
        "target": st.sampled_from([0.5, 1, 2, 5, 50]),
        "target-utilization-percentage": st.sampled_from([10, 70, 100]),
        "window": st.sampled_from(["6s", "10s", "17s", "30s"]),
        "panic-window-percentage": st.sampled_from([5, 10, 50]),
        "panic-threshold-percentage": st.sampled_from([110, 200, 500]),
        "scale-down-delay": st.sampled_from(["3s", "9s"]),
        "scale-to-zero-pod-retention-period": st.sampled_from(["1s", "8s"]),
    },
)


@given(
    annotations=ANNOTATIONS,
    concurrency=st.sampled_from([0, 1, 1, 2, 5]),
    timeout=st.sampled_from([2, 10, 60]),
    service_s=st.sampled_from([0.05, 0.3, 1.5]),
    cold_s=st.sampled_from([0.2, 0.9, 4.0]),
    max_instances=st.sampled_from([2, 12]),
    max_queued=st.sampled_from([5, 10_000]),
    seed=st.integers(0, 2**32),
)
@example({"window": "6s"}, 1, 60, 1.5, 0.9, 12, 10_000, 1)
@example({"min-scale": 2, "scale-down-delay": "9s"}, 1, 2, 1.5, 4.0, 12, 5, 3)
@settings(max_examples=200, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_simulator_and_runtime_take_the_same_decisions(
    annotations: dict[str, object],
    concurrency: int,
    timeout: int,
    service_s: float,
    cold_s: float,
    max_instances: int,
    max_queued: int,
    seed: int,
) -> None:
    with tempfile.TemporaryDirectory() as name:
        manifests = service_manifests(Path(name), annotations, concurrency, timeout)
        scenario = simulated(manifests, traffic(seed), service_s, cold_s, max_instances, max_queued, seed)
        seen = played(manifests, scenario, Path(name), max_instances, max_queued)
    assert_the_same(run(scenario), seen)


def service_manifests(folder: Path, annotations: dict[str, object], concurrency: int, timeout: int) -> Manifests:
    text = {PREFIX + name: str(value) for name, value in annotations.items()}
    file = folder / "service.yaml"
    file.write_text(SERVICE.format(annotations=text, concurrency=concurrency, timeout=timeout))
    return load([file])


def traffic(seed: int) -> array[float]:
    """Bursts, steady stretches and silences, at times that never coincide with a tick."""
    draw = random.Random(seed)
    times: list[float] = []
    at_s = draw.uniform(0, 5)
    while at_s < UNTIL_S and len(times) < AT_MOST:
        rate = draw.choice([0.5, 5, 40])
        for _ in range(draw.randint(1, 40)):
            at_s += draw.expovariate(rate)
            times.append(at_s)
        at_s += draw.choice([0, 0, 8, 35]) * draw.random()
    return array("d", (each for each in times if each < UNTIL_S))


def simulated(
    manifests: Manifests,
    times_s: array[float],
    service_s: float,
    cold_s: float,
    max_instances: int,
    max_queued: int,
    seed: int,
) -> Scenario:
    arrivals = Arrivals(name="requests", kind=Target.SERVICE, to="worker", times_s=times_s)
    scenario = from_manifests(
        manifests,
        duration_s=UNTIL_S,
        arrivals=[arrivals],
        seed=seed,
        platform=replace(LOCAL, max_instances=max_instances),
        begin=Begin.DEPLOYED,
    )
    service = replace(
        scenario.service("worker"),
        service_time=Distribution.exponential(service_s),
        cold_start=ColdStart(alone=Distribution.lognormal(cold_s, 0.5)),
        max_queued=max_queued,
    )
    return replace(scenario, services=(service,))


def played(manifests: Manifests, scenario: Scenario, folder: Path, max_instances: int, max_queued: int) -> Seen:
    service, (revision,) = scenario.service("worker"), revisions(manifests, settings={})
    draws = Draws(
        cold_start_s=service.cold_start.alone.draw(stream(scenario.seed, "worker", "cold start")),
        service_time_s=service.service_time.draw(stream(scenario.seed, "worker", "service time")),
    )
    times_s = scenario.arrivals[0].times_s
    return play(
        revision,
        times_s,
        draws,
        until_s=scenario.duration_s,
        folder=folder,
        max_instances=max_instances,
        max_queued=max_queued,
    )


def assert_the_same(result: Result, seen: Seen) -> None:
    service = result.services["worker"]
    simulated = [(bend.at_s, bend.wanted) for bend in service.bends]
    # The runtime reports the first decision of a revision that begins with min-scale too.
    reported = seen.wanted[1:] if seen.wanted and seen.wanted[0] == (0.0, service.series.wanted[0]) else seen.wanted
    assert [wanted for _, wanted in simulated] == [wanted for _, wanted in reported]
    assert [at_s for at_s, _ in simulated] == pytest.approx([at_s for at_s, _ in reported])
    sentences = seen.sentences[len(seen.wanted) - len(reported) :]
    assert [bend.reason.sentence for bend in service.bends] == sentences
    counts = {status: seen.statuses.count(status) for status in (200, 503, 504)}
    assert {200: service.succeeded, 503: service.refused, 504: service.timed_out} == counts
    latencies = result.latencies["service worker"].seconds if service.succeeded else []
    # Two requests that begin together and draw the same time end at the same moment, in either order.
    assert sorted(latencies) == pytest.approx(sorted(seen.latencies_s))
