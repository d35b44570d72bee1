"""The image pipeline behind proxies, on which faults of the application are staged (`staged_faults`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from darkroom.imaging.photograph import make_photograph
from tests.faults.faulty_stack import FaultyStack, faulty_stack
from tests.faults.orders import KILLING_WIDTH, SLOW_WIDTH
from tests.faults.proxy import Manner
from tests.stack import ROOT, RunningStack, eventually
from tests.staged_faults import StagedFault

WINDOW = 2
_SLOW_S3_S = 1.2
_SLOW_JOB_S = 50.0
"""Or until the fault is mended; shorter than JOB_TIMEOUT."""
_JOB_TIMEOUT_S = 60


@dataclass
class Pipeline:
    faulty: FaultyStack
    presets: Path
    picture: bytes

    @property
    def stack(self) -> RunningStack:
        return self.faulty.stack


@contextmanager
def staged_pipeline(folder: Path) -> Iterator[Pipeline]:
    presets = folder / "presets.yaml"
    presets.write_text((ROOT / "presets.yaml").read_text())
    window = ("settings.yaml", 'BROKER_WINDOW: "40"', f'BROKER_WINDOW: "{WINDOW}"')
    with faulty_stack(
        folder, "--presets", str(presets), changes=[window], job_timeout_s=_JOB_TIMEOUT_S, sweep_s=3
    ) as faulty:
        pipeline = Pipeline(faulty, presets, make_photograph(400, 300))
        # Warm, so that what is staged is seen soon.
        pipeline.stack.completed(pipeline.stack.submit("resize", pipeline.picture, width=50))
        yield pipeline


@contextmanager
def _redis_full(pipeline: Pipeline) -> Iterator[None]:
    with pipeline.faulty.redis_client() as redis:
        used = int(redis.info("memory")["used_memory"])
        redis.config_set("maxmemory", int(used * 1.05))
        try:
            yield
        finally:
            redis.config_set("maxmemory", 0)


@contextmanager
def _s3_slow(pipeline: Pipeline) -> Iterator[None]:
    stack = pipeline.stack
    with pipeline.faulty.s3.being(Manner(delay_s=_SLOW_S3_S)):
        job_id = stack.submit("resize", pipeline.picture, width=60)
        yield
        stack.completed(job_id)


@contextmanager
def _lane_full(pipeline: Pipeline) -> Iterator[None]:
    stack = pipeline.stack
    pipeline.faulty.slow(_SLOW_JOB_S)
    jobs = [stack.submit("resize", pipeline.picture, width=SLOW_WIDTH) for _ in range(WINDOW + 3)]
    try:
        yield
    finally:
        pipeline.faulty.slow(0.0)
        for job_id in jobs:
            stack.completed(job_id)


@contextmanager
def _picture_kills(pipeline: Pipeline) -> Iterator[None]:
    stack = pipeline.stack
    with pipeline.faulty.deadly():
        job_id = stack.submit("resize", pipeline.picture, width=KILLING_WIDTH)
        yield
        assert stack.ended(job_id, within_s=120)["error"]["code"] == "image.crashed"
    with pipeline.faulty.letters() as letters:
        kept = eventually(lambda: letters.list(limit=10), within_s=60, what="it is with the dead letters")
        for letter in kept:
            letters.drop(letter.sequence)
    # What follows finds a worker that is ready.
    stack.completed(stack.submit("resize", pipeline.picture, width=70))


@contextmanager
def _preset_gone(pipeline: Pipeline) -> Iterator[None]:
    away = pipeline.presets.with_suffix(".away")
    pipeline.presets.rename(away)
    try:
        yield
    finally:
        away.rename(pipeline.presets)


PIPELINE_FAULTS: tuple[StagedFault[Pipeline], ...] = (
    StagedFault(
        name="Redis is full",
        codes=("store.full",),
        cause=("of memory, and takes no more jobs above 85%", "Redis is full"),
        remedy=("larger maxmemory", "JOB_RETENTION"),
        stage=_redis_full,
    ),
    StagedFault(
        name="S3 is slow",
        codes=("storage.slow", "server.slow"),
        cause=("S3", "slow"),
        remedy=("disk",),
        stage=_s3_slow,
    ),
    StagedFault(
        name="a lane is full",
        codes=("lane.full",),
        cause=("the lane of standard resize jobs is full", f"{WINDOW} of {WINDOW} places", "resize is busy"),
        remedy=("raise its max-scale", "BROKER_WINDOW"),
        stage=_lane_full,
    ),
    StagedFault(
        name="a picture kills its worker",
        codes=("picture.kills",),
        cause=("the picture of resize job", "killed its worker", "image.crashed"),
        remedy=("look at it", "darkroom logs"),
        stage=_picture_kills,
    ),
    StagedFault(
        name="the presets are gone",
        codes=("presets.gone",),
        cause=("the presets are gone", "presets.yaml", "there is no such file"),
        remedy=("Put", "back"),
        stage=_preset_gone,
    ),
)
