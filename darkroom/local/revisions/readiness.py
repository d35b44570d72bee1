"""Probes whether an instance is ready, by its readinessProbe; without one, by whether its port accepts connections.

As in queue-proxy, `periodSeconds` 0 or unset means as fast as possible until the instance is ready, otherwise once per
period. Once ready, an instance is probed on, and gets no requests while it fails (`still_ready`). `exec` runs on this
machine, in the function's environment and folder. `grpc` is not supported and treated as TCP.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import aiohttp

from darkroom.local.children.ports import LOOPBACK
from darkroom.local.children.processes import ManagedProcess, group_command
from darkroom.manifests.revision import HttpCheck, ReadinessCheck

TCP_POLL_S = 0.005
HTTP_POLL_S = 0.02
"""queue-proxy probes every 50 ms."""
EXEC_POLL_S = 0.25
"""Each probe starts a program."""
WATCH_PERIOD_S = 5.0
UNREADY_AFTER_S = 30.0
"""Without `periodSeconds`, queue-proxy takes up to 10 s for one of the kubelet's three probes."""
USER_AGENT = "kube-probe/1.36"
ELSEWHERE_TIMEOUT_S = 2.0
_SHOWN_BYTES = 500


class Surroundings(Protocol):
    """Where a probe's program runs: as the instance does."""

    @property
    def env(self) -> Mapping[str, str]: ...

    @property
    def cwd(self) -> Path: ...


class Readiness:
    """Probes one instance, which serves on `port` of this machine, or of `host`."""

    def __init__(self, check: ReadinessCheck, port: int, surroundings: Surroundings, *, host: str = LOOPBACK) -> None:
        self._check = check
        self._port = port
        self._host = host
        self._surroundings = surroundings
        self._successes = 0
        self._failures = 0
        self._succeeded_at = time.monotonic()
        self.last_answer = "nothing listens on its port"
        """The result of the last probe, to explain why the instance is not ready."""

    @property
    def pause_s(self) -> float:
        """Return the time between two probes of an instance that is not ready yet."""
        if self._check.period_s:
            return self._check.period_s
        if self._check.command:
            return EXEC_POLL_S
        return TCP_POLL_S if self._check.http is None else HTTP_POLL_S

    @property
    def watch_period_s(self) -> float:
        """Return the time between two probes of an instance that was ready; 0: it is not probed any more.

        A function that accepts connections and dies is noticed without a probe.
        """
        if self._check.period_s:
            return self._check.period_s
        return 0.0 if self._check.http is None and not self._check.command else WATCH_PERIOD_S

    async def probe(self) -> bool:
        """Probe once; returns whether as many probes in a row have succeeded as `successThreshold` says."""
        if await self._answers():
            self._successes, self._failures = self._successes + 1, 0
            self._succeeded_at = time.monotonic()
        else:
            self._successes, self._failures = 0, self._failures + 1
        return self._successes >= self._check.success_threshold

    def still_ready(self) -> bool:
        """Report whether an instance that was ready is still so, by `failureThreshold` probes in a row."""
        if self._check.period_s:
            return self._failures < self._check.failure_threshold
        return self._failures == 0 or time.monotonic() - self._succeeded_at < UNREADY_AFTER_S

    async def _answers(self) -> bool:
        check = self._check
        if check.command:
            return await self._runs(check.command)
        port = self._port if check.port is None else check.port
        try:
            is_accepting = await accepts(self._host, port)
        except OSError as exc:
            # This process has no descriptor left for a probe, which says nothing of the instance.
            self.last_answer = f"port {port} could not be probed: {exc.strerror}"
            return False
        if not is_accepting:
            place = "" if self._host == LOOPBACK else f" of {self._host}"
            self.last_answer = f"nothing listens on port {port}{place}"
            return False
        return True if check.http is None else await self._answers_http(check.http, port)

    async def _answers_http(self, http: HttpCheck, port: int) -> bool:
        url = f"{http.scheme.lower()}://{self._host}:{port}{http.path}"
        timeout = aiohttp.ClientTimeout(total=self._check.timeout_s)
        headers = {"User-Agent": USER_AGENT, **http.headers}
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as client,
                # The kubelet does not verify certificates either.
                client.get(url, headers=headers, allow_redirects=False, ssl=False) as answer,
            ):
                self.last_answer = f"GET {http.path} answered {answer.status}: {await _beginning(answer)}"
                return 200 <= answer.status < 400
        except TimeoutError:
            self.last_answer = f"GET {http.path} did not answer within {self._check.timeout_s:g} s"
        except aiohttp.ClientError as exc:
            self.last_answer = f"GET {http.path}: {exc}"
        return False

    async def _runs(self, command: tuple[str, ...]) -> bool:
        env, cwd = self._surroundings.env, self._surroundings.cwd
        found = shutil.which(command[0], path=env.get("PATH"))
        if found is None:
            self.last_answer = f"exec: there is no program {command[0]!r} on this machine"
            return False
        said: deque[str] = deque(maxlen=3)
        started = group_command(found, *command[1:], env=env, cwd=cwd)
        try:
            process = await ManagedProcess.start("probe", started, on_line=said.append)
        except OSError as exc:
            self.last_answer = f"{command[0]} could not be started: {exc}"
            return False
        try:
            async with asyncio.timeout(self._check.timeout_s):
                status = await process.wait()
        except TimeoutError:
            self.last_answer = f"{command[0]} did not end within {self._check.timeout_s:g} s"
            return False
        finally:
            await process.kill()
        self.last_answer = f"{command[0]} ended with {status}: {' '.join(said)[:_SHOWN_BYTES]}"
        return status == 0


async def _beginning(answer: aiohttp.ClientResponse) -> str:
    return (await answer.content.read(_SHOWN_BYTES)).decode("utf-8", "replace").strip()


async def accepts(host: str, port: int) -> bool:
    """Report whether somebody listens on the port, by opening and closing a connection."""
    if host != LOOPBACK:
        return await _accepts_elsewhere(host, port)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(probe, (LOOPBACK, port))
        except OSError:
            # Refused, most often; or this process has no descriptor left.
            return False
    return True


async def _accepts_elsewhere(host: str, port: int) -> bool:
    """Ask a host whose name may have to be resolved, and which may not answer at all."""
    try:
        async with asyncio.timeout(ELSEWHERE_TIMEOUT_S):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.transport.abort()
    return True
