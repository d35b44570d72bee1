"""What a crowd that never finishes its requests costs everybody else, through the whole local runtime.

    python benchmarks/front_door.py [seconds]

`darkroom up` may have 1,024 descriptors. At once come 1,000 connections with half a head, 300 bodies that drip, and 40
uploads of 31 MiB that stop one byte short; connections that are closed come back, uploads do not. Beside them one
client posts pictures and reads their jobs at a steady rate. Its p99 is compared with that of the same client alone.
Told as well: the memory of ingest, the runtime's open descriptors, what the supervisor killed, and how much the log
grew.
"""

from __future__ import annotations

import selectors
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil

sys.path.insert(0, str(Path(__file__).parent.parent))

from darkroom.imaging.photograph import make_photograph
from tests.stack import RunningStack

DESCRIPTORS = 1024
MIB = 1024 * 1024
PACE_S = 0.1
_GET = b"GET /api/v1/jobs HTTP/1.1\r\nHost: darkroom\r\n"
_POST = (
    "POST /api/v1/resize?width=10 HTTP/1.1\r\nHost: darkroom\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n"
)


@dataclass(frozen=True, kw_only=True)
class Crowd:
    half_open: int = 1000
    dripping: int = 300
    held: int = 40
    held_bytes: int = 31 * MIB


def large_jpeg(size_bytes: int) -> bytes:
    """A small JPEG with comments up to about this size."""
    small, comment = make_photograph(64, 48), b"\xff\xfe" + (60_002).to_bytes(2, "big") + b"." * 60_000
    return small[:2] + comment * (size_bytes // len(comment)) + small[2:]


class _Member:
    """One connection that never finishes."""

    def __init__(
        self, port: int, selector: selectors.BaseSelector, opening: bytes, drip: bytes, *, comes_back: bool = True
    ) -> None:
        self._port = port
        self._selector = selector
        self._opening = opening
        self._drip = drip
        self._comes_back = comes_back
        self._socket: socket.socket | None = None
        self._left = memoryview(b"")
        self.opened = 0

    def work(self, events: int) -> None:
        """Send what is left of the opening, and notice an answer or an end."""
        if self._socket is None:
            return
        try:
            if events & selectors.EVENT_READ and not self._socket.recv(65536):
                raise ConnectionError
            if events & selectors.EVENT_WRITE and self._left:
                self._left = self._left[self._socket.send(self._left[: 256 * 1024]) :]
            if not self._left:
                self._selector.modify(self._socket, selectors.EVENT_READ, self)
        except BlockingIOError:
            return
        except OSError:
            self.close()

    def tick(self) -> None:
        """Once a second: come back, or drip."""
        if self._socket is None:
            if self._comes_back or not self.opened:
                self._open()
        elif self._drip and not self._left:
            try:
                self._socket.send(self._drip)
            except BlockingIOError:
                return
            except OSError:
                self.close()

    def _open(self) -> None:
        connection = socket.socket()
        connection.setblocking(False)
        with suppress(BlockingIOError):
            connection.connect(("127.0.0.1", self._port))
        self._socket, self._left = connection, memoryview(self._opening)
        self._selector.register(connection, selectors.EVENT_READ | selectors.EVENT_WRITE, self)
        self.opened += 1

    def close(self) -> None:
        if self._socket is not None:
            self._selector.unregister(self._socket)
            self._socket.close()
            self._socket = None


@contextmanager
def crowd(api: str, size: Crowd) -> Iterator[list[_Member]]:
    """The crowd, for as long as the block runs."""
    port, selector = urlsplit(api).port or 0, selectors.DefaultSelector()
    held = large_jpeg(size.held_bytes)
    short = _POST.format(len(held)).encode() + held[:-1]
    dripping = _POST.format(100_000).encode() + held[:100]
    members = [
        *(_Member(port, selector, _GET + b"X-Half: ", b"") for _ in range(size.half_open)),
        *(_Member(port, selector, dripping, b".") for _ in range(size.dripping)),
        *(_Member(port, selector, short, b"", comes_back=False) for _ in range(size.held)),
    ]
    stopped = threading.Event()

    def run() -> None:
        ticked_at = float("-inf")
        while not stopped.is_set():
            if time.monotonic() - ticked_at >= 1.0:
                ticked_at = time.monotonic()
                for member in members:
                    member.tick()
            for key, events in selector.select(0.05):
                key.data.work(events)

    thread = threading.Thread(target=run, name="crowd")
    thread.start()
    try:
        yield members
    finally:
        stopped.set()
        thread.join()
        for member in members:
            member.close()
        selector.close()


@dataclass(kw_only=True)
class Seen:
    """What a client of the pipeline saw, and what the runtime was like meanwhile."""

    latencies_ms: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    ingest_mb: float = 0.0
    descriptors: int = 0

    def percentile_ms(self, share: float) -> float:
        ranked = sorted(self.latencies_ms)
        return ranked[min(len(ranked) - 1, int(len(ranked) * share))]


def ingest_processes(stack: RunningStack) -> list[psutil.Process]:
    found = []
    for process in stack.descendants():
        with suppress(psutil.Error):
            if process.environ().get("FUNCTION_TARGET") == "ingest" or process.name().startswith("ingest"):
                found.append(process)
    return found


def look(stack: RunningStack, seen: Seen, processes: list[psutil.Process]) -> None:
    with suppress(psutil.Error):
        seen.ingest_mb = max(seen.ingest_mb, sum(process.memory_info().rss for process in processes) / 1e6)
        if stack.process is not None:
            seen.descriptors = max(seen.descriptors, psutil.Process(stack.process.pid).num_fds())


def use_steadily(stack: RunningStack, seconds: float) -> Seen:
    seen, picture = Seen(), make_photograph(200, 150)
    processes = ingest_processes(stack)
    ends_at = time.monotonic() + seconds
    with httpx.Client(base_url=stack.addresses["api"], timeout=60) as client:
        while (began := time.monotonic()) < ends_at:
            answer = client.post("/api/v1/resize?width=10", content=picture, headers={"content-type": "image/jpeg"})
            seen.statuses[answer.status_code] = seen.statuses.get(answer.status_code, 0) + 1
            if answer.status_code == 202:
                job = client.get(answer.headers["location"])
                seen.statuses[job.status_code] = seen.statuses.get(job.status_code, 0) + 1
            seen.latencies_ms.append((time.monotonic() - began) * 1000)
            look(stack, seen, processes)
            time.sleep(max(0.0, PACE_S - (time.monotonic() - began)))
    return seen


@contextmanager
def limited_stack(folder: Path, descriptors: int = DESCRIPTORS) -> Iterator[RunningStack]:
    program = ("/bin/sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh", sys.executable, "-m", "darkroom.cli")
    stack = RunningStack(data=folder, program=program, verbose=False)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()


def log_lines(stack: RunningStack) -> int:
    """Count the lines of all logs, without those of jobs and of requests that were answered well."""
    logs = [stack.log, *(stack.data / "logs").glob("*.log*")]
    return sum(not _is_ordinary(line) for log in logs for line in log.read_bytes().splitlines())


def _is_ordinary(line: bytes) -> bool:
    return b'"action": "job.' in line or b'"status": 20' in line


def killed(stack: RunningStack) -> list[str]:
    return [str(event["action"]) for event in stack.events() if event["action"] in KILLS]


KILLS = {"server.hung", "server.died", "instance.died", "part.crashed"}


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 40.0
    with tempfile.TemporaryDirectory() as folder, limited_stack(Path(folder)) as stack:
        use_steadily(stack, 3.0)
        before = use_steadily(stack, seconds / 2)
        lines = log_lines(stack)
        with crowd(stack.addresses["api"], Crowd()) as members:
            beside = use_steadily(stack, seconds)
            opened = sum(member.opened for member in members)
        grown = log_lines(stack) - lines
        after = use_steadily(stack, seconds / 2)
        ended = killed(stack)
    alone = Seen(latencies_ms=before.latencies_ms + after.latencies_ms, ingest_mb=before.ingest_mb)
    for name, seen in (("alone", alone), ("beside the crowd", beside)):
        print(
            f"{name:<18}{len(seen.latencies_ms)} pictures, p50 {seen.percentile_ms(0.5):.1f} ms, "
            f"p99 {seen.percentile_ms(0.99):.1f} ms, ingest {seen.ingest_mb:.0f} MB"
        )
    print(f"answers {beside.statuses}, connections opened {opened}, most descriptors {beside.descriptors}")
    print(f"p99 ratio {beside.percentile_ms(0.99) / alone.percentile_ms(0.99):.2f}, log grew by {grown} lines")
    print(f"killed or died: {ended or 'nothing'}")


if __name__ == "__main__":
    main()
