"""Where an event goes when it leaves the runtime's own hands: a Service, a Broker, or a URL."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp

from darkroom.contract import cloudevents
from darkroom.contract.cloudevents import CloudEvent
from darkroom.contract.errors import DarkroomError, DependencyUnavailableError, EventInvalidError
from darkroom.local.activator import Activator
from darkroom.local.broker import Ingress
from darkroom.local.manifests import Destination
from darkroom.local.manifests.model import SERVING


@dataclass(frozen=True, kw_only=True)
class Answered:
    """A subscriber's HTTP answer."""

    status: int
    reply: CloudEvent | None = None
    body: bytes = b""
    reply_fault: str = ""
    """Why a body of a 2xx is no CloudEvent; empty when it is one, or there is none."""


@dataclass(frozen=True, kw_only=True)
class NotReached:
    """No answer: refused, broken off, or out of time."""

    detail: str
    timed_out: bool = False


Attempt = Answered | NotReached
Deliver = Callable[[CloudEvent, float], Awaitable[Attempt]]
"""One attempt within so many seconds; never raises for what a subscriber does."""


class Subscribers:
    def __init__(self, activator: Activator, ingress: Ingress, http: aiohttp.ClientSession) -> None:
        self._activator = activator
        self._ingress = ingress
        self._http = http

    def resolve(self, destination: Destination) -> Deliver:
        """`destination` bears its namespace (`revisions.resolved`), and the loader has held it against what exists."""
        if destination.ref is None:
            return self._to_url(destination.uri or "")
        namespace, name = destination.ref.namespace or "", destination.ref.name
        if destination.ref.api_version == SERVING:
            return self._to_service(name)
        return self._to_broker(namespace, name)

    async def send(self, destination: Destination, event: CloudEvent, *, timeout_s: float) -> None:
        """For sources: raises DependencyUnavailableError unless the sink answers 2xx."""
        attempt = await self.resolve(destination)(event, timeout_s)
        if isinstance(attempt, NotReached):
            raise DependencyUnavailableError("sink", attempt.detail)
        if not 200 <= attempt.status < 300:
            raise DependencyUnavailableError("sink", f"answered {attempt.status}")

    def _to_service(self, service: str) -> Deliver:
        async def deliver(event: CloudEvent, timeout_s: float) -> Attempt:
            headers, body = _request(event)
            try:
                answer = await self._activator.request(service, "POST", "/", headers, body, timeout_s=timeout_s)
            except TimeoutError:
                return NotReached(detail=f"no answer within {timeout_s:g} s", timed_out=True)
            except DarkroomError as exc:
                return Answered(status=exc.status, body=exc.detail.encode())
            return _answered(answer.status, dict(answer.headers), answer.body)

        return deliver

    def _to_url(self, url: str) -> Deliver:
        async def deliver(event: CloudEvent, timeout_s: float) -> Attempt:
            headers, body = _request(event)
            timeout = aiohttp.ClientTimeout(total=timeout_s)
            try:
                async with self._http.post(url, headers=headers, data=body, timeout=timeout) as answer:
                    return _answered(answer.status, dict(answer.headers), await answer.read())
            except TimeoutError:
                return NotReached(detail=f"no answer within {timeout_s:g} s", timed_out=True)
            except aiohttp.ClientError as exc:
                return NotReached(detail=repr(exc))

        return deliver

    def _to_broker(self, namespace: str, name: str) -> Deliver:
        async def deliver(event: CloudEvent, timeout_s: float) -> Attempt:
            try:
                await self._ingress.publish((namespace, name), event)
            except EventInvalidError as exc:
                return Answered(status=400, body=exc.detail.encode())
            except DependencyUnavailableError as exc:
                return Answered(status=500, body=exc.detail.encode())
            return Answered(status=202)

        return deliver


def _request(event: CloudEvent) -> tuple[dict[str, str], bytes]:
    headers, body = cloudevents.encode_binary(event)
    return {**headers, "prefer": "reply"}, body


def _answered(status: int, headers: dict[str, str], body: bytes) -> Answered:
    lower = {name.lower(): value for name, value in headers.items()}
    if not 200 <= status < 300 or (not body and not cloudevents.is_event(lower)):
        return Answered(status=status, body=body)
    try:
        return Answered(status=status, reply=cloudevents.parse_one(lower, body), body=body)
    except EventInvalidError as exc:
        return Answered(status=status, body=body, reply_fault=exc.detail)
