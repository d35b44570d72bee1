"""What a crowd that never finishes its requests costs everybody else, through the whole local runtime.

    python benchmarks/front_door.py [seconds]

`darkroom up` may have 1,024 descriptors. At once come 1,000 connections with half a head, 300 bodies that drip, and 40
uploads of 31 MiB that stop one byte short; connections that are closed come back, uploads do not. A full server gives
up the others first, so the uploads are held until their deadline (30 s of silence). Beside them one
client posts pictures and reads their jobs at a steady rate, first while the crowd comes (its uploads are 1.2 GB), then
while it is there. The p99 of the second is compared with that of the same client alone. Told as well: the memory of
ingest, the runtime's open descriptors, what the supervisor killed, and how much the log grew.

The crowd is a process of its own with a lower priority: it stands for other machines, so it takes neither the
client's interpreter nor, as far as can be, the runtime's processors.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import selectors
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil

sys.path.insert(0, str(Path(__file__).parent.parent))

from darkroom.imaging.photograph import make_photograph
from tests.stack import RunningStack

DESCRIPTORS = 1024
MIB = 1024 * 1024
PACE_S = 0.1
_LOWER_PRIORITY = 10
_TICKS_PER_S = 20
_SHOWN_BYTES = 140
# The crowd is there when all have come and less than this is sent in a second: drips are a few hundred bytes.
_STILL_BYTES = 100_000
_COMES_WITHIN_S = 90.0
_GET = b"GET /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\n"
_POST = (
    "POST /api/v1/resize?width=10 HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n"
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
        self.sent = 0

    def work(self, events: int) -> None:
        """Send what is left of the opening, and notice an answer or an end."""
        if self._socket is None:
            return
        try:
            if events & selectors.EVENT_READ and not self._socket.recv(65536):
                raise ConnectionError
            if events & selectors.EVENT_WRITE and self._left:
                sent = self._socket.send(self._left[: 256 * 1024])
                self._left = self._left[sent:]
                self.sent += sent
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

    @property
    def is_held(self) -> bool:
        return not self._comes_back and self._socket is not None and not self._left

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


class Presence:
    """What the crowd's process tells of it."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.stopped: Event = context.Event()
        # Connections opened, members of whom one was opened, bytes sent, uploads that are sent but for the last byte.
        self._counts: Any = context.Array("Q", 4)

    def tell(self, members: list[_Member]) -> None:
        with self._counts:
            self._counts[:] = [
                sum(member.opened for member in members),
                sum(member.opened > 0 for member in members),
                sum(member.sent for member in members),
                sum(member.is_held for member in members),
            ]

    @property
    def opened(self) -> int:
        return int(self._counts[0])

    @property
    def members(self) -> int:
        return int(self._counts[1])

    @property
    def sent_bytes(self) -> int:
        return int(self._counts[2])

    @property
    def held(self) -> int:
        return int(self._counts[3])


@contextmanager
def crowd(api: str, size: Crowd) -> Iterator[Presence]:
    """The crowd, for as long as the block runs."""
    presence = Presence()
    port = urlsplit(api).port or 0
    process = multiprocessing.get_context("spawn").Process(target=_be_a_crowd, args=(port, size, presence))
    process.start()
    try:
        yield presence
    finally:
        presence.stopped.set()
        process.join()


def _be_a_crowd(port: int, size: Crowd, presence: Presence) -> None:
    os.nice(_LOWER_PRIORITY)
    selector = selectors.DefaultSelector()
    members = _members(port, selector, size)
    began_at, ticks = time.monotonic(), 0
    while not presence.stopped.is_set():
        while ticks < (time.monotonic() - began_at) * _TICKS_PER_S:
            # Each once a second, but not all at the same moment: nothing makes strangers keep time.
            for member in members[ticks % _TICKS_PER_S :: _TICKS_PER_S]:
                member.tick()
            presence.tell(members)
            ticks += 1
        for key, events in selector.select(0.5 / _TICKS_PER_S):
            key.data.work(events)
    for member in members:
        member.close()
    selector.close()


def _members(port: int, selector: selectors.BaseSelector, size: Crowd) -> list[_Member]:
    held = large_jpeg(size.held_bytes)
    short = _POST.format(len(held)).encode() + held[:-1]
    dripping = _POST.format(100_000).encode() + held[:100]
    return [
        *(_Member(port, selector, _GET + b"X-Half: ", b"") for _ in range(size.half_open)),
        *(_Member(port, selector, dripping, b".") for _ in range(size.dripping)),
        *(_Member(port, selector, short, b"", comes_back=False) for _ in range(size.held)),
    ]


def until_it_is_there(presence: Presence, size: Crowd) -> Callable[[], bool]:
    """Return a check that is true once all members have come and the uploads are held."""
    everybody = size.half_open + size.dripping + size.held
    gives_up_at = time.monotonic() + _COMES_WITHIN_S
    looked_at, sent = float("inf"), 0

    def is_there() -> bool:
        nonlocal looked_at, sent
        now = time.monotonic()
        if now > gives_up_at:
            raise TimeoutError(f"the crowd did not settle within {_COMES_WITHIN_S:.0f} s")
        if presence.members < everybody:
            return False
        if looked_at > now:
            looked_at, sent = now, presence.sent_bytes
        if now - looked_at < 2.0:
            return False
        grown, looked_at, sent = presence.sent_bytes - sent, now, presence.sent_bytes
        return grown < 2 * _STILL_BYTES

    return is_there


@dataclass(kw_only=True)
class Seen:
    """What a client of the pipeline saw, and what the runtime was like meanwhile."""

    latencies_ms: list[float] = field(default_factory=list)
    began_s: list[float] = field(default_factory=list)
    """When each began, since the first."""
    statuses: dict[int, int] = field(default_factory=dict)
    ingest_mb: float = 0.0
    """The most that one instance had resident, with the processes that it consists of."""
    instances: int = 0
    descriptors: int = 0
    held: list[int] = field(default_factory=list)
    """How many of the crowd's uploads were held at each picture."""

    def percentile_ms(self, share: float) -> float:
        ranked = sorted(self.latencies_ms)
        return ranked[min(len(ranked) - 1, int(len(ranked) * share))]

    def slowest(self, count: int = 5) -> str:
        pairs = sorted(zip(self.latencies_ms, self.began_s, strict=True), reverse=True)[:count]
        return ", ".join(f"{latency_ms:.0f} ms at {began_s:.1f} s" for latency_ms, began_s in pairs)


def ingest_instances(stack: RunningStack) -> list[list[psutil.Process]]:
    """Return the processes of each instance: gunicorn's master and its worker."""
    found = []
    for process in stack.descendants():
        with suppress(psutil.Error):
            parent = process.parent()
            if _is_ingest(process) and (parent is None or not _is_ingest(parent)):
                found.append([process, *process.children()])
    return found


def _is_ingest(process: psutil.Process) -> bool:
    return process.name().startswith("ingest")


def look(stack: RunningStack, seen: Seen) -> None:
    with suppress(psutil.Error):
        instances = ingest_instances(stack)
        seen.instances = max(seen.instances, len(instances))
        for processes in instances:
            seen.ingest_mb = max(seen.ingest_mb, sum(process.memory_info().rss for process in processes) / 1e6)
        if stack.process is not None:
            seen.descriptors = max(seen.descriptors, psutil.Process(stack.process.pid).num_fds())


def use_steadily(
    stack: RunningStack,
    seconds: float,
    *,
    presence: Presence | None = None,
    until: Callable[[], bool] = lambda: False,
) -> Seen:
    """Post pictures and read their jobs for so many seconds, or until something is so."""
    seen, picture = Seen(), make_photograph(200, 150)
    starts_at = time.monotonic()
    ends_at = starts_at + seconds
    with httpx.Client(base_url=stack.addresses["api"], timeout=60) as client:
        while (began := time.monotonic()) < ends_at and not until():
            answer = client.post("/api/v1/resize?width=10", content=picture, headers={"content-type": "image/jpeg"})
            seen.statuses[answer.status_code] = seen.statuses.get(answer.status_code, 0) + 1
            if answer.status_code == 202:
                job = client.get(answer.headers["location"])
                seen.statuses[job.status_code] = seen.statuses.get(job.status_code, 0) + 1
            seen.latencies_ms.append((time.monotonic() - began) * 1000)
            seen.began_s.append(began - starts_at)
            look(stack, seen)
            if presence is not None:
                seen.held.append(presence.held)
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


def log_lines(stack: RunningStack) -> list[bytes]:
    """Return the lines of all logs, without those of jobs and of requests that were answered well."""
    logs = [stack.log, *(stack.data / "logs").glob("*.log*")]
    return [line for log in logs for line in log.read_bytes().splitlines() if not _is_ordinary(line)]


def most_common_kinds(lines: Iterable[bytes], count: int = 5) -> str:
    """Return what most of the lines say, without their numbers and ids."""
    kinds = Counter(re.sub(rb"[0-9a-f-]{8,}|[0-9.]+", b"#", line)[:_SHOWN_BYTES].decode() for line in lines)
    return "\n".join(f"  {times} x {kind}" for kind, times in kinds.most_common(count))


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
        size = Crowd()
        with crowd(stack.addresses["api"], size) as presence:
            coming = use_steadily(stack, _COMES_WITHIN_S, presence=presence, until=until_it_is_there(presence, size))
            beside = use_steadily(stack, seconds, presence=presence)
            opened, sent_mb = presence.opened, presence.sent_bytes / 1e6
        grown = list((Counter(log_lines(stack)) - Counter(lines)).elements())
        after = use_steadily(stack, seconds / 2)
        ended = killed(stack)
    alone = Seen(
        latencies_ms=before.latencies_ms + after.latencies_ms,
        began_s=before.began_s + after.began_s,
        ingest_mb=before.ingest_mb,
    )
    for name, seen in (("alone", alone), ("while it comes", coming), ("beside the crowd", beside)):
        print(
            f"{name:<18}{len(seen.latencies_ms)} pictures, p50 {seen.percentile_ms(0.5):.1f} ms, "
            f"p99 {seen.percentile_ms(0.99):.1f} ms, "
            f"{seen.instances} of ingest with at most {seen.ingest_mb:.0f} MB, answers {seen.statuses}"
        )
    print(f"slowest alone {alone.slowest()}; beside the crowd {beside.slowest()}")
    descriptors = max(coming.descriptors, beside.descriptors)
    print(f"connections opened {opened}, {sent_mb:.0f} MB sent, most descriptors {descriptors}")
    print(f"uploads held: {max(coming.held)} at most while it comes, then {min(beside.held)} to {max(beside.held)}")
    print(f"p99 ratio {beside.percentile_ms(0.99) / alone.percentile_ms(0.99):.2f}, log grew by {len(grown)} lines")
    print(most_common_kinds(grown))
    print(f"killed or died: {ended or 'nothing'}")


if __name__ == "__main__":
    main()
