"""Takes over the Triggers' routes: each delivery is recorded, may go to the test's handler, and waits by its clock.

Also the names by which a test speaks of deliveries: a Trigger's, or that of where they go (`service/NAME`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from darkroom.events.cloudevents import CloudEvent
from darkroom.local.eventing.brokers import AdaptRoute
from darkroom.local.eventing.destinations import ChannelTarget, IngressTarget, ServiceTarget, cluster_url, locate
from darkroom.local.eventing.dispatch import Route
from darkroom.local.eventing.receivers import Receiver
from darkroom.local.eventing.subscribers import Attempt, Deliver
from darkroom.manifests import Destination, Manifests, Trigger, with_namespace
from darkroom.manifests.errors import suggestion
from darkroom.testing.clocks import Clock
from darkroom.testing.errors import ProjectError
from darkroom.testing.handlers import Handler, accept, delivers_to
from darkroom.testing.recorder import Recorder


class Routing:
    """Adapts the routes of one Broker fixture. With `processes`, only what has a handler is taken over."""

    def __init__(self, manifests: Manifests, recorder: Recorder, clock: Clock, *, processes: bool) -> None:
        self.routes: dict[str, Route] = {}
        """By the Trigger's or Subscription's name, with the namespace before it where that is ambiguous."""
        self._recorder = recorder
        self._clock = clock
        self._processes = processes
        self._services = [(service.namespace, service.name) for service in manifests.services]
        names = Counter(name for _, name in self._services)
        self._service_names = {
            (namespace, name): f"service/{name}" if names[name] == 1 else f"service/{namespace}/{name}"
            for namespace, name in self._services
        }
        self._handlers: dict[str, Handler] = {}
        self._destinations: set[str] = set(self._service_names.values())

    @property
    def adapt(self) -> AdaptRoute:
        return self._adapt

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return self._handlers

    def subscribe(self, name: str, handler: Handler) -> None:
        self.require(name)
        self._handlers[name] = handler

    def require(self, name: str) -> None:
        """Raise ProjectError if nothing has this name."""
        __tracebackhide__ = True
        known = [*self.routes, *sorted(self._destinations)]
        if name not in known:
            near = suggestion(name, known)
            raise ProjectError(f"there is no Trigger {name!r} and nothing it could deliver to{near}; {_list(known)}")

    def name_of(self, destination: Destination) -> str:
        """Return how a test names a destination, whose reference has a namespace."""
        url = cluster_url(destination)
        match locate(url, self._services):
            case ServiceTarget(service=service):
                return self._service_names[service]
            case IngressTarget(broker=(namespace, name)):
                return f"broker/{namespace}/{name}"
            case ChannelTarget(channel=(namespace, name)):
                return f"channel/{namespace}/{name}"
            case _:
                return url

    def deliver_by(self, source: str, to: str) -> Deliver:
        """Return the function with which something that is no Trigger delivers to a handler."""
        return self._recorder.watching(self._to_handler(to, to, None), trigger=source, to=to)

    def _adapt(self, route: Route) -> Route:
        self.routes[route.label] = route
        to = self._known(_subscriber_of(route.receiver))
        subscriber = self._to_handler(route.label, to, route.subscriber)
        adapted = replace(
            route,
            subscriber=self._recorder.watching(subscriber, trigger=route.label, to=to),
            before_redelivery=self._before_redelivery(route.label),
        )
        sink, deliver = route.delivery.dead_letter_sink, route.dead_letter_sink
        if sink is None or deliver is None:
            return adapted
        to = self._known(sink)
        taken_over = self._to_handler(to, to, deliver)
        watched = self._recorder.watching(taken_over, trigger=route.label, to=to, is_dead_letter=True)
        return replace(adapted, dead_letter_sink=watched)

    def _known(self, destination: Destination) -> str:
        name = self.name_of(destination)
        self._destinations.add(name)
        return name

    def _to_handler(self, name: str, to: str, real: Deliver | None) -> Deliver:
        """Deliver to the handler of this name, else to that of the destination, else really or to nobody.

        Looked up at each delivery, so that a test can change its mind.
        """
        is_real = self._processes or to.startswith(("broker/", "channel/"))

        async def deliver(event: CloudEvent, timeout_s: float) -> Attempt:
            handler = self._handlers.get(name) or self._handlers.get(to)
            if handler is None and is_real and real is not None:
                return await real(event, timeout_s)
            return await delivers_to(handler or accept, self._recorder.failed)(event, timeout_s)

        return deliver

    def _before_redelivery(self, trigger: str) -> Callable[[CloudEvent, float], Awaitable[float]]:
        async def wait(event: CloudEvent, delay_s: float) -> float:
            self._recorder.delayed(trigger, event, delay_s)
            return await self._clock.wait(trigger, delay_s)

        return wait


def _subscriber_of(receiver: Receiver) -> Destination:
    if isinstance(receiver, Trigger):
        return with_namespace(receiver.spec.subscriber, receiver.namespace)
    return receiver.subscriber


def _list(names: list[str]) -> str:
    return f"there is {', '.join(names)}" if names else "the manifests have no Trigger"
