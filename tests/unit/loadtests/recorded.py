"""A small recorded run, for the tests that read one."""

from __future__ import annotations

from dataclasses import replace

from loadtests.recording import (
    RecordedBacklog,
    RecordedColdStart,
    RecordedInstances,
    RecordedJob,
    RecordedRun,
    Recording,
)

JOB = RecordedJob(
    arrival_s=0.25,
    job_type="resize",
    order="resize 2K",
    input_bytes=513_221,
    input_width_px=2048,
    input_height_px=1536,
    story="UploadAndWait",
    follows="waiting",
    outcome="completed",
    accepted_s=0.31,
    ended_s=1.5,
    created_s=0.3,
    started_s=1.4,
    finished_s=1.48,
    fetch_ms=5,
    render_ms=61,
    store_ms=7,
    attempts=1,
    cost_class="standard",
    job_id="a",
)
RUN = Recording(
    run=RecordedRun(
        shape="burst",
        scale=0.5,
        stretch=1.0,
        seed=None,
        host="http://127.0.0.1:8080",
        began_at="2026-11-30T12:00:00+00:00",
        shape_s=10.0,
        ended_s=31.5,
        generators=1,
        interrupted=False,
        objective={"ratio": 0.995, "within_s": 10.0},
        passed=True,
        poll_every_s=1.0,
        observed="the local runtime",
        observed_every_s=0.5,
    ),
    jobs=[JOB, replace(JOB, outcome="refused", accepted_s=None, ended_s=None, job_id=None)],
    instances=[RecordedInstances(at_s=0.5, service="darkroom/resize", wanted=10, ready=0, capped=False)],
    backlog=[RecordedBacklog(at_s=0.5, events=40)],
    cold_starts=[RecordedColdStart(at_s=1.2, service="darkroom/resize", took_s=0.7)],
)
