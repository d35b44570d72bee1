"""Which trace a delivery belongs to, and what its spans show of the time before it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from darkroom.adapters.jobs import LEASE_S, NextStep
from darkroom.contract.errors import DependencyUnavailableError, ImageCorruptError
from darkroom.events import tracing
from darkroom.imaging.photograph import make_photograph
from darkroom.serving.answers import Done, TryAgain
from darkroom.telemetry import instance_start
from darkroom.telemetry.instance_start import InstanceStart
from tests.spans import Recorded, milliseconds_of, recorded_spans, trace_id_of
from tests.unit.serving.test_work import World

ROOT = Path(__file__).parents[3]
ACCEPTED_UNDER = tracing.new_root(sampled=True)
STAGES = ["claim", "queued", "fetch", "render", "store", "complete"]


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    with recorded_spans("resize") as recorded:
        yield recorded


@pytest.fixture(scope="module")
def photograph() -> bytes:
    return make_photograph(64, 48)


def world_of(photograph: bytes, *, trace: str = ACCEPTED_UNDER.traceparent, accepted_s_ago: float = 2.0) -> World:
    """A World on today's clock, whose job was accepted under `trace`."""
    return World(photograph, accepted_at_s=datetime.now(UTC).timestamp() - accepted_s_ago, trace=trace)


def test_a_delivery_has_a_span_for_each_stage_below_the_one_that_accepted_the_job(
    recorded: Recorded, photograph: bytes
) -> None:
    world = world_of(photograph)
    assert isinstance(world.worker.handle(world.event()), Done)

    process = recorded.one("process dev.darkroom.resize.requested")
    assert process.parent is not None
    assert f"{process.parent.span_id:016x}" == ACCEPTED_UNDER.span_id
    assert [span.name for span in recorded.spans] == [*STAGES, process.name]
    assert {trace_id_of(span) for span in recorded.spans} == {ACCEPTED_UNDER.trace_id}
    assert {recorded.parent_of(recorded.one(stage)) for stage in STAGES} == {process.name}
    assert process.attributes is not None
    assert process.attributes["darkroom.attempt"] == 1
    assert process.attributes["cloudevents.event_type"] == "dev.darkroom.resize.requested"
    assert process.attributes["faas.coldstart"] is False
    assert 1_900 < milliseconds_of(recorded.one("queued")) < 60_000


def test_the_deliverys_own_span_is_the_parent_where_it_is_of_the_jobs_trace(
    recorded: Recorded, photograph: bytes
) -> None:
    world, delivery = world_of(photograph), ACCEPTED_UNDER.child()
    with tracing.use(delivery):
        world.worker.handle(world.event())
    process = recorded.one("process dev.darkroom.resize.requested")
    assert process.parent is not None
    assert f"{process.parent.span_id:016x}" == delivery.span_id
    assert not process.links


def test_a_broker_that_drops_the_trace_or_begins_its_own_does_not_take_the_job_out_of_its_trace(
    recorded: Recorded, photograph: bytes
) -> None:
    world, brokers = world_of(photograph), tracing.new_root(sampled=True)
    event = replace(world.event(), extensions={})
    with tracing.use(brokers):
        world.worker.handle(event)
    process = recorded.one("process dev.darkroom.resize.requested")
    assert trace_id_of(process) == ACCEPTED_UNDER.trace_id
    assert [f"{link.context.trace_id:032x}" for link in process.links] == [brokers.trace_id]


def test_a_job_from_before_there_were_traces_goes_with_its_delivery(recorded: Recorded, photograph: bytes) -> None:
    world, delivery = world_of(photograph, trace=""), tracing.new_root(sampled=True)
    with tracing.use(delivery):
        world.worker.handle(world.event())
    assert {trace_id_of(span) for span in recorded.spans} == {delivery.trace_id}


def test_the_wait_of_a_second_attempt_begins_where_the_first_one_ended(recorded: Recorded, photograph: bytes) -> None:
    world = world_of(photograph, accepted_s_ago=60)
    lease = world.claim(world.job_id, worker="first")
    world.advance(10)
    world.jobs.release(lease, DependencyUnavailableError("storage", "away"), counts=False)
    world.advance(50)
    world.worker.handle(world.event())
    assert 45_000 < milliseconds_of(recorded.one("queued")) < 60_000
    assert not recorded.named("attempt lost"), "the first worker has told of its attempt itself"


def test_an_attempt_whose_worker_died_is_reported_by_the_next_one(recorded: Recorded, photograph: bytes) -> None:
    """Its own spans were lost with it: what is known of it is in the record."""
    world = world_of(photograph, accepted_s_ago=60)
    world.advance(5)
    world.claim(world.job_id, worker="dies")
    world.advance(LEASE_S + 45)

    world.worker.handle(world.event())

    lost = recorded.one("attempt lost")
    assert lost.attributes is not None
    assert (lost.attributes["error.type"], lost.attributes["darkroom.worker"]) == ("image.crashed", "dies")
    first, second = sorted(recorded.named("queued"), key=lambda span: span.start_time or 0)
    assert milliseconds_of(first) == pytest.approx(5_000, abs=2)
    assert first.end_time == lost.start_time
    assert second.start_time == lost.end_time


def test_a_redriven_job_begins_a_trace_of_its_own_that_links_to_the_first(
    recorded: Recorded, photograph: bytes
) -> None:
    world = world_of(photograph, accepted_s_ago=60)
    lease = world.claim(world.job_id, worker="first")
    world.jobs.fail(lease, ImageCorruptError("not a picture"))
    world.advance(60)
    assert world.jobs.redrive(world.job_id).step is NextStep.EMIT

    event = world.event()
    assert isinstance(world.worker.handle(event), Done)

    redriven = recorded.one("redriven")
    assert redriven.parent is None
    assert trace_id_of(redriven) != ACCEPTED_UNDER.trace_id
    assert [f"{link.context.trace_id:032x}" for link in redriven.links] == [ACCEPTED_UNDER.trace_id]
    assert {trace_id_of(span) for span in recorded.spans} == {trace_id_of(redriven)}
    assert recorded.parent_of(recorded.one("process dev.darkroom.resize.requested")) == "redriven"
    context = tracing.from_attributes(event.extensions)
    assert context is not None
    assert context.trace_id == trace_id_of(redriven), "the event bears the new trace"


@pytest.mark.parametrize(("started_s_ago", "cold"), [(1.0, True), (30.0, False)])
def test_a_cold_start_is_recorded_where_the_process_began_after_the_emission(
    recorded: Recorded, photograph: bytes, monkeypatch: pytest.MonkeyPatch, started_s_ago: float, cold: bool
) -> None:
    now = datetime.now(UTC)
    started, ready = now - timedelta(seconds=started_s_ago), now - timedelta(seconds=started_s_ago - 0.5)
    birth = InstanceStart(started_ns=int(started.timestamp() * 1e9), ready_ns=int(ready.timestamp() * 1e9))
    monkeypatch.setattr(instance_start, "take", lambda: birth)
    world = world_of(photograph, accepted_s_ago=2)
    world.worker.handle(world.event())
    process = recorded.one("process dev.darkroom.resize.requested")
    assert process.attributes is not None
    assert process.attributes["faas.coldstart"] is cold
    assert [milliseconds_of(span) for span in recorded.named("cold start")] == (
        [pytest.approx(500, abs=1)] if cold else []
    )


def test_a_delivery_that_comes_back_says_why(recorded: Recorded, photograph: bytes) -> None:
    world = world_of(photograph)
    world.claim(world.job_id)
    assert isinstance(world.worker.handle(world.event()), TryAgain)
    process = recorded.one("process dev.darkroom.resize.requested")
    assert not process.status.is_ok
    assert process.status.description == "the job is held by another"


ONE_DELIVERY = """
import sys
from uuid import UUID
from darkroom.imaging.photograph import make_photograph
from darkroom.serving.log import configure_logging
from tests.unit.serving.test_work import World
configure_logging(level="info", service="resize")
world = World(make_photograph(64, 48), job_id=UUID(sys.argv[1]), trace=sys.argv[2])
world.worker.handle(world.event())
"""


def test_the_lines_of_a_delivery_bear_its_trace_request_and_job_with_telemetry_off() -> None:
    """In a process of its own, because loggers are bound permanently by the first line."""
    job_id = str(uuid.uuid4())
    command = [sys.executable, "-c", ONE_DELIVERY, job_id, ACCEPTED_UNDER.traceparent]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["action"] for line in lines] == ["job.claimed", "job.completed"]
    for line in lines:
        assert line["trace_id"] == ACCEPTED_UNDER.trace_id
        assert line["span_id"] == ACCEPTED_UNDER.span_id
        assert (line["job_id"], line["request_id"]) == (job_id, "request")
