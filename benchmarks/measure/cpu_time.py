"""Measures the CPU time of a family of processes, by what each process is, including those that have ended.

A child that ended and was waited for is in its parent's account (cutime of proc(5)), so nothing is lost when workers
are replaced. The time of all other processes on the machine is measured too: it shows whether a run was disturbed.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import psutil

SERVERS = {"nats-server": "nats", "valkey-server": "redis", "weed": "s3", "postgres": "postgres"}
FORK_SERVER = "darkroom.local.children.zygote"
CONSOLE = "darkroom.local.console"
_REVISION = re.compile(r"([a-z-]+)-\d{1,5}")
"""The local runtime sets a forked function's program name to its revision, at most 15 characters of it."""


@dataclass(frozen=True, kw_only=True)
class Spent:
    """Seconds of CPU time, by what spent them."""

    by_name: dict[str, float]

    @property
    def total_s(self) -> float:
        return sum(self.by_name.values())

    def since(self, earlier: Spent) -> Spent:
        names = {*self.by_name, *earlier.by_name}
        return Spent(by_name={name: self.by_name.get(name, 0) - earlier.by_name.get(name, 0) for name in names})


@dataclass(frozen=True, kw_only=True)
class _Seen:
    name: str
    parent_pid: int
    seconds: float
    """Its own time, and that of the children it has waited for."""


@dataclass(kw_only=True)
class Family:
    """A process and all its descendants."""

    pid: int
    name: str
    """The name of the first process, and of its descendants that have no name of their own."""
    _seen: dict[int, _Seen] = field(default_factory=dict)
    """Every process that was ever read, including those that have ended since."""

    def spent(self) -> Spent:
        seconds: defaultdict[str, float] = defaultdict(float)
        living = self._read()
        for one in living.values():
            seconds[one.name] += one.seconds
        for pid, one in self._seen.items():
            if pid not in living:
                # The time of a process that has ended is in an ancestor's account now, so the total stays right.
                seconds[one.name] += one.seconds
                seconds[self._heir(one, living)] -= one.seconds
        return Spent(by_name=dict(seconds))

    def resident_bytes(self) -> dict[str, int]:
        """Return resident memory by name. Pages that processes share count once for each."""
        return self._added(lambda process: int(process.memory_info().rss))

    def proportional_bytes(self) -> dict[str, int]:
        """Return memory like `resident_bytes`, but pages shared by n processes count as an n-th for each (PSS of
        proc(5)).
        """
        return self._added(lambda process: int(process.memory_full_info().pss))

    def counts(self) -> dict[str, int]:
        """Return the number of processes by name."""
        return self._added(lambda process: 1)

    def _added(self, reading: Callable[[psutil.Process], int]) -> dict[str, int]:
        found: Counter[str] = Counter()
        for process in self.processes():
            try:
                found[self._name(process)] += reading(process)
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
        return dict(found)

    def named(self) -> Iterator[tuple[psutil.Process, str]]:
        """Yield each process with its name, parents before their children."""
        for process in self.processes():
            try:
                yield process, self._name(process)
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue

    def processes(self) -> list[psutil.Process]:
        first = psutil.Process(self.pid)
        return [first, *first.children(recursive=True)]

    def _read(self) -> dict[int, _Seen]:
        living = {}
        for process in self.processes():
            try:
                times, name, parent_pid = process.cpu_times(), self._name(process), process.ppid()
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
            seconds = times.user + times.system + times.children_user + times.children_system
            living[process.pid] = _Seen(name=name, parent_pid=parent_pid, seconds=seconds)
        self._seen |= living
        return living

    def _heir(self, one: _Seen, living: dict[int, _Seen]) -> str:
        pid = one.parent_pid
        while pid not in living and pid in self._seen:
            pid = self._seen[pid].parent_pid
        return living[pid].name if pid in living else self.name

    def _name(self, process: psutil.Process) -> str:
        if process.pid == self.pid:
            return self.name
        shown = process.name()
        forked = _REVISION.fullmatch(shown)
        if shown in SERVERS or forked:
            return forked[1] if forked else SERVERS[shown]
        command = process.cmdline()
        if FORK_SERVER in command:
            return "fork server"
        if CONSOLE in command:
            return "console"
        return process.environ().get("K_SERVICE") or self.name


def spent_by_all(families: Iterable[Family]) -> Spent:
    seconds: defaultdict[str, float] = defaultdict(float)
    for family in families:
        for name, spent_s in family.spent().by_name.items():
            seconds[name] += spent_s
    return Spent(by_name=dict(seconds))


def machine_busy_s() -> float:
    """Return the CPU time of all processes on this machine, including what the hypervisor took away."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - getattr(times, "guest", 0) - getattr(times, "guest_nice", 0))
