"""A thousand clients on `?wait=` and a thousand on events, one status process: when all are notified, and its memory.

    python benchmarks/waiting.py [clients of each kind]

The job is completed by hand in a real Redis. The clients are bare sockets on one selector, so that their own CPU time
is small; the two processes still share the machine.
"""

from __future__ import annotations

import resource
import selectors
import socket
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import psutil

sys.path.insert(0, str(Path(__file__).parent.parent))

from darkroom.adapters.jobs import Lease, NewJob
from darkroom.adapters.jobs.redis import RedisJobStore
from darkroom.contract.jobs import JobResult
from tests.front import function_server
from tests.servers import redis_server, running

NOTIFIED_WITHIN_S = 30.0
SETTLED_AFTER_S = 3.0


@dataclass(frozen=True, kw_only=True)
class NotificationTimes:
    wait_ms: list[float]
    events_ms: list[float]
    idle_mb: float
    waiting_mb: float

    @property
    def median_ms(self) -> float:
        return median([*self.wait_ms, *self.events_ms])


def measure(clients: int, folder: Path) -> NotificationTimes:
    with (
        running(redis_server(folder / "redis")) as redis,
        running(
            function_server("status", folder / "status", redis_url=redis.url, s3_url="http://127.0.0.1:1")
        ) as status,
    ):
        store = RedisJobStore(redis.url)
        lease = _job_under_way(store)
        process = psutil.Process(status.pid)
        idle_mb = _memory_mb(process)
        waiting = selectors.DefaultSelector()
        for path in (f"/api/v1/jobs/{lease.job_id}?wait=60", f"/api/v1/jobs/{lease.job_id}/events"):
            for _ in range(clients):
                waiting.register(_ask(status.url, path), selectors.EVENT_READ, path)
        time.sleep(SETTLED_AFTER_S)
        waiting_mb = _memory_mb(process)
        completed_at = _complete(store, lease)
        times_ms = _notification_ms(waiting, completed_at)
        store.close()
    by_path = list(times_ms.values())
    return NotificationTimes(wait_ms=by_path[0], events_ms=by_path[1], idle_mb=idle_mb, waiting_mb=waiting_mb)


def _job_under_way(store: RedisJobStore) -> Lease:
    job_id = uuid.uuid4()
    key = f"uploads/{job_id}/original.jpg"
    store.accept(
        NewJob(job_id=job_id, type="resize", owner="", parameters={"width": 1}, storage_key=key, request_id="r")
    )
    lease = store.claim(job_id, worker="benchmark")
    if not isinstance(lease, Lease):
        raise RuntimeError(f"the new job could not be claimed: {lease}")
    return lease


def _complete(store: RedisJobStore, lease: Lease) -> float:
    key = f"processed/{lease.job_id}.jpg"
    result = JobResult(storage_key=key, content_type="image/jpeg", width=1, height=1, bytes=1)
    completed_at = time.monotonic()
    store.complete(lease, result, {"render": 1})
    return completed_at


def _ask(url: str, path: str) -> socket.socket:
    address = urlsplit(url)
    connection = socket.create_connection(("127.0.0.1", address.port or 0))
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: status\r\n\r\n".encode())
    connection.setblocking(False)
    return connection


def _notification_ms(waiting: selectors.BaseSelector, completed_at: float) -> dict[str, list[float]]:
    """Return the milliseconds from the call that completed the job, by path. Connections stay open, as clients keep
    them.
    """
    times_ms: dict[str, list[float]] = {}
    open_connections = []
    while waiting.get_map():
        if time.monotonic() - completed_at > NOTIFIED_WITHIN_S:
            raise RuntimeError(f"{len(waiting.get_map())} clients were not notified within {NOTIFIED_WITHIN_S:g} s")
        for key, _ in waiting.select(timeout=1.0):
            connection = key.fileobj
            if isinstance(connection, socket.socket) and b"completed" in connection.recv(65536):
                times_ms.setdefault(key.data, []).append((time.monotonic() - completed_at) * 1000)
                waiting.unregister(connection)
                open_connections.append(connection)
    for connection in open_connections:
        connection.close()
    return times_ms


def _memory_mb(process: psutil.Process) -> float:
    return sum(each.memory_info().rss for each in [process, *process.children(recursive=True)]) / 1e6


def raise_open_files() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> None:
    clients = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    raise_open_files()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(clients, Path(folder))
    for name, values in (("wait", found.wait_ms), ("events", found.events_ms)):
        ranked = sorted(values)
        print(f"{name:<8}{len(ranked)} notified, median {median(ranked):.0f} ms, last {ranked[-1]:.0f} ms")
    print(f"{'both':<8}median {found.median_ms:.0f} ms")
    print(f"{'memory':<8}{found.idle_mb:.0f} MB idle, {found.waiting_mb:.0f} MB with {2 * clients} waiting")


if __name__ == "__main__":
    main()
