"""512 slow connections on one ingest for a minute: their effect on other clients, and their cost.

    python benchmarks/slow_connections.py [seconds]

A third of them are half-open (they connect and send nothing), a third send a header byte by byte, a third a body byte
by byte. Beside them one client posts pictures at a steady rate. Its p99 is compared with that of the same client alone,
in turns: alone, beside them, alone.
"""

from __future__ import annotations

import socket
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.ingest import both
from darkroom.imaging.photograph import make_photograph
from tests.servers import Server

SLOW = 512
PACE_S = 0.05
HEAD = (
    b"POST /api/v1/resize?width=10 HTTP/1.1\r\nHost: ingest\r\nContent-Type: image/jpeg\r\nContent-Length: 100000\r\n"
)


@dataclass(frozen=True, kw_only=True)
class Latencies:
    latencies_ms: list[float]
    memory_mb: float

    def percentile_ms(self, share: float) -> float:
        ranked = sorted(self.latencies_ms)
        return ranked[min(len(ranked) - 1, int(len(ranked) * share))]


class SlowCrowd:
    """Connections that send one byte per second each, until the block ends. Closed ones are opened again."""

    def __init__(self, url: str, count: int) -> None:
        self._port = urlsplit(url).port or 0
        self._connections: list[tuple[int, socket.socket]] = []
        self._count = count
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="slow-crowd")

    def __enter__(self) -> SlowCrowd:
        self._connections = [(number, self._connect(number)) for number in range(self._count)]
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        for _number, connection in self._connections:
            connection.close()

    def _connect(self, number: int) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self._port), timeout=5)
        if number % 3 == 1:
            connection.sendall(HEAD + b"X-Slow: ")
        if number % 3 == 2:
            connection.sendall(HEAD + b"\r\n\xff\xd8\xff")
        return connection

    def _run(self) -> None:
        while not self._stopped.wait(1.0):
            for index, (number, connection) in enumerate(self._connections):
                if number % 3 == 0:
                    continue
                try:
                    connection.sendall(b"x")
                except OSError:
                    connection.close()
                    with suppress(OSError):
                        self._connections[index] = (number, self._connect(number))


def post_steadily(server: Server, picture: bytes, seconds: float) -> Latencies:
    process = psutil.Process(server.pid)
    everything = [process, *process.children(recursive=True)]
    latencies_ms, peak = [], 0
    ends_at = time.monotonic() + seconds
    with httpx.Client(base_url=server.url, timeout=60) as client:
        while (started := time.monotonic()) < ends_at:
            answer = client.post("/api/v1/resize?width=10", content=picture, headers={"content-type": "image/jpeg"})
            if answer.status_code != 202:
                raise RuntimeError(f"{answer.status_code}: {answer.text[:500]}")
            latencies_ms.append((time.monotonic() - started) * 1000)
            peak = max(peak, sum(each.memory_info().rss for each in everything))
            time.sleep(max(0.0, PACE_S - (time.monotonic() - started)))
    return Latencies(latencies_ms=latencies_ms, memory_mb=peak / 1e6)


def measure(server: Server, seconds: float, slow: int = SLOW) -> tuple[Latencies, Latencies]:
    """Measure alone (half before, half after) and beside the slow connections."""
    picture = make_photograph(200, 150)
    post_steadily(server, picture, 2.0)
    before = post_steadily(server, picture, seconds / 2)
    with SlowCrowd(server.url, slow):
        beside = post_steadily(server, picture, seconds)
    after = post_steadily(server, picture, seconds / 2)
    alone = Latencies(
        latencies_ms=before.latencies_ms + after.latencies_ms, memory_mb=max(before.memory_mb, after.memory_mb)
    )
    return alone, beside


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    with tempfile.TemporaryDirectory() as folder, both(Path(folder)) as (ingest, _bare):
        alone, beside = measure(ingest, seconds)
    for name, noticed in (("alone", alone), (f"beside {SLOW} slow", beside)):
        print(
            f"{name:<16}{len(noticed.latencies_ms)} pictures, p50 {noticed.percentile_ms(0.5):.1f} ms, "
            f"p99 {noticed.percentile_ms(0.99):.1f} ms, {noticed.memory_mb:.0f} MB"
        )
    print(f"p99 ratio {beside.percentile_ms(0.99) / alone.percentile_ms(0.99):.2f}")


if __name__ == "__main__":
    main()
