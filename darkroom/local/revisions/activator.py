"""The single HTTP hop before each function: holds requests while a revision starts, then streams them to an instance.

The gateway uses it for external requests, and the dispatcher uses it in-process for events. `admission` assigns the
instances. The activator only measures the load; the autoscaler decides how many instances there should be.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from multidict import CIMultiDict

from darkroom.errors import DarkroomError
from darkroom.local import spans
from darkroom.local.errors import InstanceBrokenError, RevisionTimeoutError
from darkroom.local.revisions.admission import Admission
from darkroom.local.revisions.answer import BrokenOffError
from darkroom.local.revisions.connection import NotReachedError
from darkroom.local.revisions.exchange import Connections, Exchange
from darkroom.local.revisions.forwarding import ForwardRequest, end_to_end
from darkroom.local.revisions.instances import Instance
from darkroom.local.revisions.meter import ConcurrencyMeter
from darkroom.local.revisions.pool import Pool
from darkroom.local.revisions.queueing import MAX_QUEUED
from darkroom.manifests.revision import Revision, ServiceKey

__all__ = ["Activator", "ActivatorResponse", "ConcurrencyMeter", "ForwardAnswer", "ForwardRequest"]

MAX_RESPONSE_BYTES = 16 * 1024 * 1024
"""The limit for a response that is read as a whole. It is an event's reply, and no broker accepts more than 1 MB."""


class ForwardAnswer:
    """An instance's response, whose body has not been read yet."""

    def __init__(self, exchange: Exchange, service: str) -> None:
        self.status = exchange.status
        self.reason = exchange.reason
        self.headers = end_to_end(exchange.headers)
        self._exchange = exchange
        self._service = service

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the chunks of the body as they arrive. Raises InstanceBrokenError if the body ends early."""
        try:
            async for chunk in self._exchange.chunks():
                yield chunk
        except BrokenOffError as error:
            raise InstanceBrokenError(f"{self._service} broke its answer off: {error}") from error


@dataclass(frozen=True, kw_only=True)
class ActivatorResponse:
    status: int
    headers: Mapping[str, str]
    """Case-insensitive."""
    body: bytes
    from_function: bool = True
    """False: the activator's own response, because the function gave none (502, 503, 504)."""


@dataclass(frozen=True, kw_only=True)
class _Target:
    pool: Pool
    admission: Admission
    meter: ConcurrencyMeter


class Activator:
    """Forwards requests to instances.

    `poke` is called with a revision that has requests but no ready instance, so that the scaler decides at once.
    """

    def __init__(
        self,
        *,
        poke: Callable[[Revision], None],
        max_queued: int = MAX_QUEUED,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` measures the load; it is the event loop's by default."""
        self._poke = poke
        self._clock = clock
        self._max_queued = max_queued
        self._targets: dict[ServiceKey, _Target] = {}
        self._connections = Connections()

    def serve(self, pool: Pool) -> None:
        """Make the pool's Service available under its namespace and name."""
        admission = Admission(pool, poke=lambda: self._poke(pool.revision), max_queued=self._max_queued)
        meter = ConcurrencyMeter(self._clock)
        self._targets[pool.revision.key] = _Target(pool=pool, admission=admission, meter=meter)

    def alias(self, name: ServiceKey, service: ServiceKey) -> None:
        """Make a pool available under another name too, such as that of a Service of Kubernetes."""
        self._targets[name] = self._targets[service]

    @property
    def services(self) -> Mapping[ServiceKey, Pool]:
        return {service: target.pool for service, target in self._targets.items()}

    def meter(self, service: ServiceKey) -> ConcurrencyMeter:
        """Return a Service's meter, which is shared by all its revisions."""
        return self._targets[service].meter

    def queued(self, service: ServiceKey) -> int:
        return self._targets[service].admission.queued

    async def close(self) -> None:
        self._connections.close()

    @asynccontextmanager
    async def forward(self, service: ServiceKey, request: ForwardRequest) -> AsyncIterator[ForwardAnswer]:
        """Forward a request. The context, which holds an instance, must not end before the body was read.

        Raises RevisionOverloadedError, RevisionTimeoutError, InstanceBrokenError; KeyError for an unknown Service.
        """
        target = self._targets[service]
        deadline = asyncio.get_running_loop().time() + target.pool.revision.timeout_s
        target.meter.enter()
        try:
            instance, exchange = await self._send_until_first_byte(target, request, deadline)
            try:
                yield ForwardAnswer(exchange, target.pool.revision.label)
            finally:
                exchange.close()
                target.admission.release(instance)
        finally:
            target.meter.leave()

    async def request(
        self,
        service: ServiceKey,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout_s: float | None = None,
    ) -> ActivatorResponse:
        """Make a complete exchange. The activator's own errors become responses too, as they do over HTTP.

        Raises TimeoutError after `timeout_s`, the caller's own timeout.
        """
        sent = CIMultiDict(headers)
        sent.setdefault("Host", self._cluster_host(service))
        request = ForwardRequest(method=method, path=path, headers=sent, body=body)
        async with asyncio.timeout(timeout_s):
            try:
                async with self.forward(service, request) as answer:
                    read = await _read_body(answer, self._targets[service].pool.revision.label)
                    return ActivatorResponse(status=answer.status, headers=answer.headers, body=read)
            except DarkroomError as error:
                return _error_response(error)

    @staticmethod
    def _cluster_host(service: ServiceKey) -> str:
        """Return the Service's host name within a cluster."""
        namespace, name = service
        return f"{name}.{namespace}.svc.cluster.local"

    async def _send_until_first_byte(
        self, target: _Target, request: ForwardRequest, deadline: float
    ) -> tuple[Instance, Exchange]:
        """Wait for an instance, send, and wait for the first byte, all within the revision's timeout."""
        revision = target.pool.revision
        try:
            async with asyncio.timeout_at(deadline):
                return await self._send_to_an_instance(target, request)
        except TimeoutError as error:
            detail = f"{revision.label} sent no first byte within its timeoutSeconds, {revision.timeout_s:g} s"
            raise RevisionTimeoutError(detail) from error

    async def _send_to_an_instance(self, target: _Target, request: ForwardRequest) -> tuple[Instance, Exchange]:
        refused: set[Instance] = set()
        while True:
            with spans.instance_wait_span(target.pool.revision.label):
                instance = await target.admission.acquire(avoid=refused)
            try:
                return instance, await self._connections.send(instance.address, request)
            except NotReachedError:
                # The request was not sent, so another instance may have it.
                target.admission.release(instance)
                refused.add(instance)
                await asyncio.sleep(0)
            except BrokenOffError as error:
                target.admission.release(instance)
                service = target.pool.revision.label
                raise InstanceBrokenError(f"{service} broke the connection before it answered: {error}") from error
            except BaseException:
                target.admission.release(instance)
                raise


async def _read_body(answer: ForwardAnswer, service: str) -> bytes:
    body = bytearray()
    async for chunk in answer.chunks():
        body += chunk
        if len(body) > MAX_RESPONSE_BYTES:
            raise InstanceBrokenError(f"{service} answers with more than {MAX_RESPONSE_BYTES} bytes")
    return bytes(body)


def _error_response(error: DarkroomError) -> ActivatorResponse:
    headers = CIMultiDict({"Content-Type": "text/plain; charset=utf-8"})
    return ActivatorResponse(status=error.status, headers=headers, body=error.detail.encode(), from_function=False)
