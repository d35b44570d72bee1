"""Kills and pauses processes: instances of Services, and the servers that the runtime runs."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from darkroom.local.chaos.plan import FaultKind, ProcessFault
from darkroom.local.children.processes import ManagedProcess
from darkroom.local.children.supervision import Server, SupervisedServer
from darkroom.local.revisions.pool import Pool


@dataclass(frozen=True, kw_only=True)
class Inflicted:
    pid: int | None
    """None: there was nothing to hit, and `detail` says why."""
    detail: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {"pid": self.pid, "detail": self.detail}


class ProcessFaults:
    def __init__(self, pools: Mapping[str, Pool], servers: Mapping[str, Server]) -> None:
        """`pools` by the Services' labels."""
        self._pools = pools
        self._servers = servers
        self._paused: dict[ManagedProcess, asyncio.TimerHandle] = {}

    def inflict(self, fault: ProcessFault) -> Inflicted:
        """Inflict a fault; a pause ends by itself."""
        if fault.kind is FaultKind.SERVER:
            return self._kill_server(fault.target)
        process = self._instance(fault)
        if process is None:
            return Inflicted(pid=None, detail="it has no instance that is ready")
        if fault.kind is FaultKind.KILL:
            process.send_signal(signal.SIGKILL)
        else:
            self._pause(process, fault.lasts_s)
        return Inflicted(pid=process.pid)

    def undo(self) -> None:
        """Continue whatever is paused."""
        for process in list(self._paused):
            self._resume(process)

    def _instance(self, fault: ProcessFault) -> ManagedProcess | None:
        ready = [one.process for one in self._pools[fault.target].ready if one.process is not None]
        return ready[int(fault.pick * len(ready))] if ready else None

    def _pause(self, process: ManagedProcess, lasts_s: float) -> None:
        if process in self._paused:
            self._paused.pop(process).cancel()
        process.signal_group(signal.SIGSTOP)
        self._paused[process] = asyncio.get_running_loop().call_later(lasts_s, self._resume, process)

    def _resume(self, process: ManagedProcess) -> None:
        self._paused.pop(process).cancel()
        process.signal_group(signal.SIGCONT)

    def _kill_server(self, name: str) -> Inflicted:
        server = self._servers[name]
        pid = server.pid if isinstance(server, SupervisedServer) else None
        if pid is None:
            return Inflicted(pid=None, detail="it is down already")
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return Inflicted(pid=None, detail="it has just ended by itself")
        return Inflicted(pid=pid)
