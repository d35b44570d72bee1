"""Sends events to their destinations: a Service, a Broker, a channel, or a URL."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import aiohttp

from darkroom.errors import DependencyUnavailableError, EventInvalidError
from darkroom.events import cloudevents, tracing
from darkroom.events.cloudevents import CloudEvent
from darkroom.local.eventing.broker import Ingress
from darkroom.local.eventing.delivery import Answered, SendResult, TimedOut, Unreachable
from darkroom.local.eventing.destinations import ChannelTarget, IngressTarget, ServiceTarget, cluster_url, locate
from darkroom.local.revisions.activator import Activator
from darkroom.manifests import Destination
from darkroom.manifests.revision import ServiceKey


@dataclass(frozen=True, kw_only=True)
class Attempt:
    result: SendResult
    reply: CloudEvent | None = None
    """The event in a 2xx response."""


Deliver = Callable[[CloudEvent, float], Awaitable[Attempt]]
"""Makes one attempt with a timeout in seconds; never raises for a subscriber's failure."""


class Subscribers:
    def __init__(self, activator: Activator, ingress: Ingress, http: aiohttp.ClientSession) -> None:
        self._activator = activator
        self._ingress = ingress
        self._http = http

    def resolve(self, destination: Destination) -> Deliver:
        """Return the function that delivers to a destination.

        Its reference has a namespace (`with_namespace`), and the loader has checked that the target exists.
        """
        url = cluster_url(destination)
        match locate(url, self._activator.services):
            case ServiceTarget(service=service, path=path):
                return self._to_service(service, path)
            case IngressTarget() as ingress:
                return self._to_ingress(ingress)
            case ChannelTarget() as channel:
                return self._to_channel(channel)
            case _:
                return self._to_url(url)

    async def send(self, destination: Destination, event: CloudEvent, *, timeout_s: float) -> None:
        """Send a source's event; raises DependencyUnavailableError unless the sink answers 2xx."""
        attempt = await self.resolve(destination)(event, timeout_s)
        match attempt.result:
            case Answered(status=status) if 200 <= status < 300:
                return
            case result:
                raise DependencyUnavailableError("sink", f"{cluster_url(destination)}: {result}")

    def _to_service(self, service: ServiceKey, path: str) -> Deliver:
        async def deliver(event: CloudEvent, timeout_s: float) -> Attempt:
            headers, body = request_of(event)
            try:
                answer = await self._activator.request(service, "POST", path, headers, body, timeout_s=timeout_s)
            except TimeoutError:
                return Attempt(result=TimedOut(timeout_s=timeout_s))
            return attempt_of(answer.status, dict(answer.headers), answer.body)

        return deliver

    def _to_url(self, url: str) -> Deliver:
        async def deliver(event: CloudEvent, timeout_s: float) -> Attempt:
            headers, body = request_of(event)
            timeout = aiohttp.ClientTimeout(total=timeout_s)
            try:
                async with self._http.post(url, headers=headers, data=body, timeout=timeout) as answer:
                    return attempt_of(answer.status, dict(answer.headers), await answer.read())
            except TimeoutError:
                return Attempt(result=TimedOut(timeout_s=timeout_s))
            except aiohttp.ClientError as exc:
                return Attempt(result=Unreachable(reason=repr(exc)))

        return deliver

    def _to_ingress(self, target: IngressTarget) -> Deliver:
        broker = target.broker

        async def deliver(event: CloudEvent, timeout_s: float) -> Attempt:
            if broker is None or not self._ingress.has(broker):
                return Attempt(result=Answered(status=404, body=f"no Broker at {target.path}".encode()))
            return await _stored(self._ingress.publish(broker, event))

        return deliver

    def _to_channel(self, target: ChannelTarget) -> Deliver:
        async def deliver(event: CloudEvent, timeout_s: float) -> Attempt:
            if target.path != "/":
                return Attempt(result=Answered(status=400, body=f"a channel has no path {target.path}".encode()))
            if not self._ingress.has_channel(target.channel):
                return Attempt(result=Answered(status=404, body=f"no channel {'/'.join(target.channel)}".encode()))
            return await _stored(self._ingress.publish_to_channel(target.channel, event))

        return deliver


async def _stored(publishing: Awaitable[None]) -> Attempt:
    try:
        await publishing
    except EventInvalidError as exc:
        return Attempt(result=Answered(status=400, body=exc.detail.encode()))
    except DependencyUnavailableError as exc:
        return Attempt(result=Answered(status=500, body=exc.detail.encode()))
    return Attempt(result=Answered(status=202))


def request_of(event: CloudEvent) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body with which an event is delivered over HTTP."""
    headers, body = cloudevents.encode_binary(event)
    context = tracing.current()
    return {**headers, "prefer": "reply", **({} if context is None else context.attributes())}, body


def attempt_of(status: int, headers: Mapping[str, str], body: bytes) -> Attempt:
    """Judge a subscriber's HTTP answer."""
    lower = {name.lower(): value for name, value in headers.items()}
    if not 200 <= status < 300 or not cloudevents.is_event(lower):
        return Attempt(result=Answered(status=status, body=body))
    try:
        reply = cloudevents.parse_one(lower, body)
    except EventInvalidError as exc:
        # It claims to be an event but is not. The broker's filter treats it like any other body, as a 502.
        return Attempt(result=Answered(status=status, body=body or exc.detail.encode()))
    return Attempt(result=Answered(status=status, body=body, is_event=True), reply=reply)
