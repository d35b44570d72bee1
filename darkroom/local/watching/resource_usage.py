"""Measures CPU time and memory of the stack's processes, and the disk space of stored files. All calls block."""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

import psutil

from darkroom.telemetry.metric import Readings
from darkroom.telemetry.platform_metrics import PROCESS_CPU_TIME, PROCESS_MEMORY_USAGE, STORAGE_SIZE

STORAGE_MEASURED_EVERY_S = 60.0
"""Not more often, because it walks over every file."""
_BLOCK_BYTES = 512
"""The unit of st_blocks (stat(2)), independent of the file system's block size."""

_ProcessKey = tuple[int, float]
"""A pid and its creation time, because pids are reused."""


class ProcessTimes:
    """Measures named groups of processes. The CPU time of processes that have ended still counts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._alive: dict[str, dict[_ProcessKey, float]] = defaultdict(dict)
        self._ended_s: dict[str, float] = defaultdict(float)

    def read(self, named: Mapping[str, Collection[int]], *, alone: Collection[str] = ()) -> Readings:
        """Measure the processes of each name, including all descendants, except for the names in `alone`."""
        children = _children()
        cpu_s: dict[tuple[str, ...], float] = {}
        memory_bytes: dict[tuple[str, ...], float] = {}
        with self._lock:
            for name, pids in named.items():
                family = pids if name in alone else [one for pid in pids for one in _family(pid, children)]
                alive, memory = _usage(family)
                self._add_ended(name, alive)
                cpu_s[name,] = self._ended_s[name] + sum(alive.values())
                memory_bytes[name,] = memory
        return {PROCESS_CPU_TIME: cpu_s, PROCESS_MEMORY_USAGE: memory_bytes}

    def _add_ended(self, name: str, alive: dict[_ProcessKey, float]) -> None:
        ended = self._alive[name].keys() - alive.keys()
        self._ended_s[name] += sum(self._alive[name][each] for each in ended)
        self._alive[name] = alive


class StorageSize:
    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._lock = threading.Lock()
        self._measured: tuple[float, int] | None = None

    def read(self) -> Readings:
        with self._lock:
            now_s = self._clock()
            if self._measured is None or now_s - self._measured[0] >= STORAGE_MEASURED_EVERY_S:
                self._measured = now_s, sum(_file_sizes(self._folder))
            return {STORAGE_SIZE: {(): self._measured[1]}}


def _children() -> Mapping[int, list[int]]:
    children: dict[int, list[int]] = defaultdict(list)
    for process in psutil.process_iter(["ppid"]):
        children[process.info["ppid"]].append(process.pid)
    return children


def _family(pid: int, children: Mapping[int, list[int]]) -> Iterator[int]:
    yield pid
    for child in children.get(pid, ()):
        yield from _family(child, children)


def _usage(pids: Collection[int]) -> tuple[dict[_ProcessKey, float], int]:
    """Return the CPU seconds of each process, and the resident bytes of all together."""
    cpu_s: dict[_ProcessKey, float] = {}
    memory_bytes = 0
    for pid in pids:
        try:
            process = psutil.Process(pid)
            with process.oneshot():
                times = process.cpu_times()
                cpu_s[pid, process.create_time()] = times.user + times.system
                memory_bytes += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue  # It ended after it was listed.
    return cpu_s, memory_bytes


def _file_sizes(folder: Path) -> Iterator[int]:
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                yield os.lstat(os.path.join(place, name)).st_blocks * _BLOCK_BYTES
            except FileNotFoundError:
                continue  # It was deleted after it was listed.
