"""Under load, with workers killed and storage failing: each job is one whole trace, and it explains the job's time."""

from __future__ import annotations

import os
import random
import signal
import statistics
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from darkroom.events.tracing import new_root
from tests.collector import Collector, SeenSpan, running_collector
from tests.faults.faulty_stack import FaultyStack, faulty_stack
from tests.faults.proxy import Manner
from tests.stack import eventually, running_stack

JOBS = 500
CLIENTS = 12
KILLS = 2
STORAGE_FAILURES = 4
STORAGE_FAILS_S = 1.0
ENDED_WITHIN_S = 300
WHOLE_SHARE = 0.99
EXPLAINED_SHARE = 0.95
SENT_EVERY_MS = 100
"""A killed worker takes what it has not sent yet with it, also of jobs that it had done."""
STAGES = {
    "ingest": {"POST /api/v1/resize", "receive", "probe", "store", "S3.PutObject", "accept", "EVALSHA"},
    "darkroom-local": {"publish darkroom", "deliver resize", "reply darkroom"},
    "resize": {
        "process dev.darkroom.resize.requested",
        *("queued", "claim", "fetch", "S3.GetObject", "render", "store", "S3.PutObject", "complete", "EVALSHA"),
    },
}
EMITTED = {"emit", "emit again"}
"""By ingest; by the function whose job made room, where this one waited in its lane; or by recovery."""
_NS = 1e9


@dataclass(frozen=True, kw_only=True)
class Posted:
    job_id: str
    trace_id: str
    client_span_id: str


@dataclass(frozen=True, kw_only=True)
class Traced:
    job: dict[str, Any]
    spans: list[SeenSpan]
    problem: str
    """Why it is not one whole trace; empty when it is."""
    explained: float
    """The share of the time from its acceptance to its end in which one of its spans was under way."""
    explained_without_waiting: float


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with running_collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def faulty(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyStack]:
    environment = {**collector.environment, "OTEL_BSP_SCHEDULE_DELAY": str(SENT_EVERY_MS)}
    with faulty_stack(tmp_path_factory.mktemp("traced"), sweep_s=3, environment=environment) as faulty:
        yield faulty


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_each_job_is_one_whole_trace_that_explains_its_time_though_deliveries_are_repeated(
    faulty: FaultyStack, collector: Collector, photograph: bytes
) -> None:
    began = time.monotonic()
    with ThreadPoolExecutor(CLIENTS) as clients:
        posting = [clients.submit(_post, faulty, photograph) for _ in range(JOBS)]
        _do_harm(faulty)
        posted = [each.result() for each in posting]
    jobs = {each.job_id: faulty.stack.ended(each.job_id, within_s=ENDED_WITHIN_S) for each in posted}
    took_s = time.monotonic() - began
    by_trace = _settled(collector, {each.trace_id for each in posted})

    traced = [_traced(each, jobs[each.job_id], by_trace) for each in posted]
    _print(faulty, traced, took_s)
    assert all(job["status"] == "completed" for job in jobs.values())
    assert len(faulty.stack.events(action="delivery.retried")) >= JOBS / 50, "there was little to repeat"
    whole = [one for one in traced if not one.problem]
    assert len(whole) / JOBS >= WHOLE_SHARE
    assert sum(one.explained >= EXPLAINED_SHARE for one in traced) / JOBS >= WHOLE_SHARE


def _post(faulty: FaultyStack, picture: bytes) -> Posted:
    """As a client does that traces: each try is a span of its own, and only one of them is accepted."""
    key = str(uuid.uuid4())
    for _ in range(100):
        root = new_root(sampled=True)
        answer = httpx.post(
            f"{faulty.stack.addresses['api']}/api/v1/resize",
            files={"image": ("picture.jpg", picture)},
            data={"width": "200"},
            headers={"idempotency-key": key, **root.attributes()},
            timeout=60,
        )
        if answer.status_code == 202:
            return Posted(job_id=answer.json()["job_id"], trace_id=root.trace_id, client_span_id=root.span_id)
        assert answer.status_code == 503, answer.text
        time.sleep(random.uniform(0.1, 0.5))
    raise AssertionError("never accepted")


def _do_harm(faulty: FaultyStack) -> None:
    eventually(lambda: faulty.workers("resize"), within_s=30, what="resize is at work")
    for turn in range(max(KILLS, STORAGE_FAILURES)):
        time.sleep(1.5)
        if turn < STORAGE_FAILURES:
            with faulty.s3.being(Manner(cut=True)):
                time.sleep(STORAGE_FAILS_S)
        if turn < KILLS:
            time.sleep(1.5)
            for worker in faulty.workers("resize")[:1]:
                os.kill(worker.pid, signal.SIGKILL)


def _settled(collector: Collector, trace_ids: set[str]) -> dict[str, list[SeenSpan]]:
    """The spans of these traces once no more come."""
    seen, since = -1, time.monotonic()
    while time.monotonic() - since < 3:
        if len(collector.bodies) != seen:
            seen, since = len(collector.bodies), time.monotonic()
        time.sleep(0.1)
    by_trace: dict[str, list[SeenSpan]] = defaultdict(list)
    for span in collector.spans():
        if span.trace_id in trace_ids:
            by_trace[span.trace_id].append(span)
    return by_trace


def _traced(posted: Posted, job: dict[str, Any], by_trace: dict[str, list[SeenSpan]]) -> Traced:
    spans = by_trace.get(posted.trace_id, [])
    waits = {"queued", "wait for instance", "cold start"}
    return Traced(
        job=job,
        spans=spans,
        problem=_problem(posted, spans),
        explained=_explained(job, spans),
        explained_without_waiting=_explained(job, [span for span in spans if span.name not in waits]),
    )


def _problem(posted: Posted, spans: Sequence[SeenSpan]) -> str:
    ids = {span.span_id for span in spans} | {posted.client_span_id}
    orphans = [f"{span.service} {span.name}" for span in spans if span.parent_id not in ids]
    if orphans:
        return f"without their parents: {', '.join(sorted(set(orphans)))}"
    there = {(span.service, span.name) for span in spans}
    missing = [f"{service} {name}" for service, names in STAGES.items() for name in names - _names(there, service)]
    if not EMITTED & {span.name for span in spans}:
        missing.append("emit")
    return f"missing: {', '.join(sorted(missing))}" if missing else ""


def _names(there: set[tuple[str, str]], service: str) -> set[str]:
    return {name for of, name in there if of == service}


def _explained(job: dict[str, Any], spans: Sequence[SeenSpan]) -> float:
    accepted, ended = (datetime.fromisoformat(job[f"{name}_at"]).timestamp() for name in ("created", "finished"))
    covered_s, until_s = 0.0, accepted
    for start_s, end_s in sorted((span.start_ns / _NS, span.end_ns / _NS) for span in spans):
        start_s, end_s = max(start_s, until_s), min(end_s, ended)
        if end_s > start_s:
            covered_s, until_s = covered_s + end_s - start_s, end_s
    return covered_s / (ended - accepted)


def _print(faulty: FaultyStack, traced: Sequence[Traced], took_s: float) -> None:
    problems = Counter(one.problem for one in traced if one.problem)
    explained = sorted(one.explained for one in traced)
    working = sorted(one.explained_without_waiting for one in traced)
    names = Counter(span.name for one in traced for span in one.spans)
    retried = len(faulty.stack.events(action="delivery.retried"))
    repeated = sum(one.job["attempts"] > 1 for one in traced)
    print(  # noqa: T201 - the figures
        f"\n{JOBS} jobs in {took_s:.0f} s, {repeated} of them in several attempts; "
        f"{retried} deliveries retried, {names['attempt lost']} attempts of killed workers\n"
        f"whole traces: {sum(not one.problem for one in traced) / JOBS:.1%}; {dict(problems)}\n"
        f"explained: least {explained[0]:.1%}, one in a hundred below {explained[JOBS // 100]:.1%}, "
        f"median {statistics.median(explained):.1%}\n"
        f"explained by work alone, without waiting: median {statistics.median(working):.1%}\n"
        f"spans a job: median {statistics.median(len(one.spans) for one in traced):.0f}; "
        f"cold starts: {names['cold start']}"
    )


def test_a_stack_that_is_stopped_sends_what_it_has_of_its_jobs(
    collector: Collector, photograph: bytes, tmp_path: Path
) -> None:
    """Nothing is sent before: SIGTERM must do it, in each function and in the runtime."""
    environment = {**collector.environment, "OTEL_BSP_SCHEDULE_DELAY": "3600000"}
    root = new_root(sampled=True)
    with running_stack(tmp_path / "data", environment=environment) as stack:
        assert httpx.get(f"{stack.addresses['api']}/health/ready", timeout=60).status_code == 200
        answer = httpx.post(
            f"{stack.addresses['api']}/api/v1/resize",
            files={"image": ("picture.jpg", photograph)},
            data={"width": "200"},
            headers=root.attributes(),
            timeout=60,
        )
        posted = Posted(job_id=answer.json()["job_id"], trace_id=root.trace_id, client_span_id=root.span_id)
        stack.completed(posted.job_id)
        assert not _has_trace(collector, posted)
        assert stack.stop() == 0
    spans = [span for span in collector.spans() if span.trace_id == posted.trace_id]
    assert _problem(posted, spans) == ""


def _has_trace(collector: Collector, posted: Posted) -> bool:
    return any(span.trace_id == posted.trace_id for span in collector.spans())
