from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from darkroom.local.watching.exposition import exposition
from darkroom.local.watching.resource_usage import STORAGE_MEASURED_EVERY_S, ProcessTimes, StorageSize
from darkroom.telemetry.metric import Distribution, Readings
from darkroom.telemetry.platform_metrics import (
    COLD_START_DURATION,
    COLD_STARTS,
    PROCESS_CPU_TIME,
    PROCESS_MEMORY_USAGE,
    SERVER_UP,
    STORAGE_SIZE,
)


def samples(readings: Readings) -> dict[tuple[str, ...], float]:
    text = exposition(readings).decode()
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_counters_and_gauges_are_written_under_their_prometheus_names() -> None:
    assert samples({COLD_STARTS: {("resize",): 3}, SERVER_UP: {("nats",): 1}}) == {
        ("darkroom_cold_starts_total", "resize"): 3,
        ("darkroom_server_up", "nats"): 1,
    }


def test_a_histogram_is_written_with_cumulative_buckets() -> None:
    empty = [0] * (len(COLD_START_DURATION.buckets) - 2)
    found = samples({COLD_START_DURATION: {("resize",): Distribution(counts=(1, 2, *empty, 1), sum=99.5)}})

    buckets = {key[1]: value for key, value in found.items() if key[0] == "darkroom_cold_start_duration_seconds_bucket"}
    assert (buckets["0.1"], buckets["0.25"], buckets["30.0"], buckets["+Inf"]) == (1, 3, 3, 4)
    assert found["darkroom_cold_start_duration_seconds_sum", "resize"] == 99.5
    assert found["darkroom_cold_start_duration_seconds_count", "resize"] == 4


def test_a_kind_that_does_not_fit_its_metric_is_refused() -> None:
    with pytest.raises(TypeError, match=r"darkroom\.cold_starts is a counter"):
        exposition({COLD_STARTS: {("resize",): Distribution(counts=(1,), sum=1)}})


def burn(seconds: float) -> subprocess.Popen[bytes]:
    """Start a process whose child uses this much CPU time, reports it, and waits to be killed."""
    child = f"import time\nwhile time.process_time() < {seconds}: pass\nprint('done', flush=True)\ninput()"
    parent = f"import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', {child!r}]))"
    return subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_processor_time_has_the_descendants_and_outlives_the_process() -> None:
    times = ProcessTimes()
    with burn(0.3) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"done\n"
        alive = times.read({"resize": [process.pid], "crop": []})
        process.stdin.close()
        process.wait(timeout=10)
    gone = times.read({"resize": []})

    used_s = alive[PROCESS_CPU_TIME]["resize",]
    assert isinstance(used_s, float)
    assert used_s >= 0.3
    assert alive[PROCESS_CPU_TIME]["crop",] == 0
    assert gone[PROCESS_CPU_TIME]["resize",] == used_s
    assert gone[PROCESS_MEMORY_USAGE]["resize",] == 0


def test_storage_is_measured_at_most_once_a_minute(tmp_path: Path) -> None:
    now_s = time.monotonic()
    size = StorageSize(tmp_path, clock=lambda: now_s)
    assert size.read()[STORAGE_SIZE][()] == 0
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "picture").write_bytes(b"x" * 100_000)

    assert size.read()[STORAGE_SIZE][()] == 0
    now_s += STORAGE_MEASURED_EVERY_S

    measured = size.read()[STORAGE_SIZE][()]
    assert isinstance(measured, int)
    assert measured >= 100_000
