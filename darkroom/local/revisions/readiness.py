"""Probes whether an instance is ready, by its readinessProbe; without one, by whether its port accepts connections.

As in queue-proxy, `periodSeconds` 0 or unset means as fast as possible, otherwise once per period. `exec` and `grpc`
are treated as TCP, because there is no container here in which to run a command.
"""

from __future__ import annotations

import asyncio
import socket

import aiohttp

from darkroom.local.children.ports import LOOPBACK
from darkroom.manifests.revision import HttpCheck, ReadinessCheck

TCP_POLL_S = 0.005
HTTP_POLL_S = 0.02
"""queue-proxy probes every 50 ms."""


class Readiness:
    """Probes one instance until it is ready."""

    def __init__(self, check: ReadinessCheck, port: int) -> None:
        self._check = check
        self._port = port
        self._successes = 0
        self.last_answer = "nothing listens on its port"
        """The result of the last probe, to explain why the instance is not ready."""

    @property
    def pause_s(self) -> float:
        if self._check.period_s:
            return self._check.period_s
        return TCP_POLL_S if self._check.http is None else HTTP_POLL_S

    async def probe(self) -> bool:
        """Probe once; returns whether the instance is ready."""
        if await self._answers():
            self._successes += 1
        else:
            self._successes = 0
        return self._successes >= self._check.success_threshold

    async def _answers(self) -> bool:
        try:
            if not await _accepts(self._port):
                return False
        except OSError as exc:
            # This process has no descriptor left for a probe, which says nothing of the instance.
            self.last_answer = f"it could not be probed: {exc.strerror}"
            return False
        if self._check.http is None:
            return True
        return await self._answers_http(self._check.http)

    async def _answers_http(self, http: HttpCheck) -> bool:
        url = f"http://{LOOPBACK}:{self._port}{http.path}"
        timeout = aiohttp.ClientTimeout(total=self._check.timeout_s)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as client,
                client.get(url, headers=dict(http.headers), allow_redirects=False) as answer,
            ):
                self.last_answer = f"GET {http.path} answered {answer.status}: {await _beginning(answer)}"
                return 200 <= answer.status < 400
        except TimeoutError:
            self.last_answer = f"GET {http.path} did not answer within {self._check.timeout_s:g} s"
        except aiohttp.ClientError as exc:
            self.last_answer = f"GET {http.path}: {exc}"
        return False


async def _beginning(answer: aiohttp.ClientResponse) -> str:
    return (await answer.content.read(500)).decode("utf-8", "replace").strip()


async def _accepts(port: int) -> bool:
    """Report whether somebody listens on the port, by opening and closing a connection."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(probe, (LOOPBACK, port))
        except ConnectionError:
            return False
    return True
