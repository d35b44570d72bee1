"""Processor time and memory of the stack's processes, and the disk space that the pictures take. All of it blocks."""

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
"""A walk over every file."""
_BLOCK_BYTES = 512
"""stat(2): st_blocks counts these, whatever the file system's own are."""

_Born = tuple[int, float]
"""A pid and when it was given: pids are used again."""


class ProcessTimes:
    """Processes come and go under a name; what those used that are gone still counts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._alive: dict[str, dict[_Born, float]] = defaultdict(dict)
        self._of_the_gone_s: dict[str, float] = defaultdict(float)

    def read(self, named: Mapping[str, Collection[int]], *, alone: Collection[str] = ()) -> Readings:
        """`named` are pids by name, each with all its descendants but for those in `alone`."""
        children = _children()
        cpu_s: dict[tuple[str, ...], float] = {}
        memory_bytes: dict[tuple[str, ...], float] = {}
        with self._lock:
            for name, pids in named.items():
                family = pids if name in alone else [one for pid in pids for one in _family(pid, children)]
                alive, memory = _usage(family)
                self._note_the_gone(name, alive)
                cpu_s[name,] = self._of_the_gone_s[name] + sum(alive.values())
                memory_bytes[name,] = memory
        return {PROCESS_CPU_TIME: cpu_s, PROCESS_MEMORY_USAGE: memory_bytes}

    def _note_the_gone(self, name: str, alive: dict[_Born, float]) -> None:
        gone = self._alive[name].keys() - alive.keys()
        self._of_the_gone_s[name] += sum(self._alive[name][each] for each in gone)
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


def _usage(pids: Collection[int]) -> tuple[dict[_Born, float], int]:
    """Seconds of processor time of each, and resident bytes of all."""
    cpu_s: dict[_Born, float] = {}
    memory_bytes = 0
    for pid in pids:
        try:
            process = psutil.Process(pid)
            with process.oneshot():
                times = process.cpu_times()
                cpu_s[pid, process.create_time()] = times.user + times.system
                memory_bytes += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue  # It ended since it was listed.
    return cpu_s, memory_bytes


def _file_sizes(folder: Path) -> Iterator[int]:
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                yield os.lstat(os.path.join(place, name)).st_blocks * _BLOCK_BYTES
            except FileNotFoundError:
                continue  # It was deleted since it was listed.
