"""Measures the memory that each instance's processes hold, as a pod of its own would."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

from benchmarks.measure.cpu_time import Family


@dataclass(frozen=True, kw_only=True)
class _Process:
    pid: int
    name: str
    unique_bytes: int
    shared_bytes: int


def bytes_per_pod(family: Family) -> Mapping[str, int]:
    """Return the memory of the largest instance of each function, by name.

    An instance is a process tree. Its memory is what each process has for itself, and once what they share; locally
    that is shared with other instances too, which pods cannot.
    """
    instances: defaultdict[int, list[_Process]] = defaultdict(list)
    seen: dict[int, _Process] = {}
    for process, name in family.named():
        try:
            memory, parent = process.memory_full_info(), process.ppid()
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
        one = _Process(pid=process.pid, name=name, unique_bytes=memory.uss, shared_bytes=memory.rss - memory.uss)
        seen[one.pid] = one
        is_worker = parent in seen and seen[parent].name == name
        instances[parent if is_worker else one.pid].append(one)
    largest: dict[str, int] = {}
    for processes in instances.values():
        size = sum(each.unique_bytes for each in processes) + max(each.shared_bytes for each in processes)
        largest[processes[0].name] = max(size, largest.get(processes[0].name, 0))
    return largest
