"""Compares ingest's throughput for pictures of 450 KB with a bare function on the same ASGI server that reads and drops
them.

    python benchmarks/ingest.py [seconds each]

The same clients, bodies and machine, taking turns; only the ratio matters. ingest stores each picture in a real S3,
writes the job to a real Redis and tries to emit it; the bare function does none of that.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import httpx
import psutil

sys.path.insert(0, str(Path(__file__).parent.parent))

from darkroom.adapters.storage.s3 import S3Storage
from darkroom.imaging.photograph import make_photograph
from tests.front import BUCKET, function_server
from tests.scripted_http import Reply, scripted_server
from tests.servers import S3_ACCESS_KEY, S3_SECRET_KEY, Server, redis_server, running, s3_server

CLIENTS = 8
ROUNDS = 3
PICTURE_BYTES = 450_000
BARE = """
import functions_framework.aio
from starlette.responses import JSONResponse

@functions_framework.aio.http
async def bare(request):
    read = 0
    async for chunk in request.stream():
        read += len(chunk)
    return JSONResponse({"read": read}, status_code=202)
"""


@dataclass(frozen=True, kw_only=True)
class Run:
    per_s: float
    memory_mb: float
    cpu_ms: float
    """CPU time of the server process per picture."""


def measure(server: Server, seconds: float, picture: bytes) -> Run:
    process = psutil.Process(server.pid)
    everything = [process, *process.children(recursive=True)]
    counts = [0] * CLIENTS
    started, before_s = time.monotonic(), _cpu_s(everything)
    ends_at = started + seconds
    threads = [
        threading.Thread(target=_post_until, args=(server.url, picture, ends_at, counts, number))
        for number in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    peak = 0
    while any(thread.is_alive() for thread in threads):
        peak = max(peak, sum(each.memory_info().rss for each in everything))
        time.sleep(0.05)
    took_s, spent_s = time.monotonic() - started, _cpu_s(everything) - before_s
    return Run(per_s=sum(counts) / took_s, memory_mb=peak / 1e6, cpu_ms=spent_s * 1000 / max(1, sum(counts)))


def _post_until(url: str, picture: bytes, ends_at: float, counts: list[int], number: int) -> None:
    headers = {"content-type": "image/jpeg"}
    with httpx.Client(base_url=url, timeout=60) as client:
        while time.monotonic() < ends_at:
            answer = client.post("/api/v1/resize?width=100", content=picture, headers=headers)
            if answer.status_code != 202:
                raise RuntimeError(f"{answer.status_code}: {answer.text[:500]}")
            counts[number] += 1


def _cpu_s(processes: list[psutil.Process]) -> float:
    return sum(times.user + times.system for times in (process.cpu_times() for process in processes))


@contextmanager
def both(folder: Path) -> Iterator[tuple[Server, Server]]:
    (folder / "bare.py").write_text(BARE)
    with (
        running(redis_server(folder / "redis")) as redis,
        running(s3_server(folder / "s3")) as s3,
        scripted_server(Reply(status=202)) as sink,
    ):
        storage = S3Storage(
            endpoint=s3.url, public_endpoint=None, access_key=S3_ACCESS_KEY, secret_key=S3_SECRET_KEY, bucket=BUCKET
        )
        storage.prepare()
        storage.close()
        urls = {"redis_url": redis.url, "s3_url": s3.url}
        bare = function_server("bare", folder / "bare", **urls, FUNCTION_SOURCE=str(folder / "bare.py"))
        with (
            running(function_server("ingest", folder / "ingest", **urls, K_SINK=sink.url)) as ingest,
            running(bare),
        ):
            yield ingest, bare


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    picture = _picture()
    runs: dict[str, list[Run]] = {"ingest": [], "bare": []}
    with tempfile.TemporaryDirectory() as folder, both(Path(folder)) as (ingest, bare):
        for server in (ingest, bare):
            measure(server, 1.0, picture)
        for _ in range(ROUNDS):
            runs["ingest"].append(measure(ingest, seconds, picture))
            runs["bare"].append(measure(bare, seconds, picture))
    print(f"{len(picture):,} bytes a picture, {CLIENTS} clients, median of {ROUNDS} rounds of {seconds:g} s")
    for name, found in runs.items():
        per_s, memory = median(run.per_s for run in found), max(run.memory_mb for run in found)
        cpu_ms = median(run.cpu_ms for run in found)
        print(f"{name:<8}{per_s:8.1f} pictures/s {cpu_ms:8.2f} ms of CPU time each {memory:8.0f} MB at most")
    ratios = [one.per_s / other.per_s for one, other in zip(runs["ingest"], runs["bare"], strict=True)]
    print(f"ratio   {median(ratios):8.2f} of the bare server's throughput")


def _picture() -> bytes:
    """Make a picture of about 450 KB: the size grows with the area."""
    side_px = 400
    while len(picture := make_photograph(side_px * 4 // 3, side_px)) < PICTURE_BYTES:
        side_px += 100
    return picture


if __name__ == "__main__":
    main()
