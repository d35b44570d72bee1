"""The running project as a graph, over HTTP at the admin address: `GET /map`.

Nodes are Brokers, channels, functions, sources, routes and addresses outside; edges are what events and requests take:
Triggers, Subscriptions, replies, dead letters, sinks. Drawn from what was read of the manifests, with what is counted
now. How it is laid out is up to whoever draws it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import nats.errors
from aiohttp import web

from darkroom.errors import DependencyUnavailableError
from darkroom.local.eventing.brokers import Brokers
from darkroom.local.eventing.destinations import ChannelTarget, IngressTarget, ServiceTarget, cluster_url, locate
from darkroom.local.eventing.dispatch import COUNTED, REPLIED, Dispatcher
from darkroom.local.eventing.receivers import only_type_of
from darkroom.local.eventing.stream import ChannelStream, ConsumerState, consumer_name
from darkroom.local.eventing.subscriptions import SubscriptionDispatcher
from darkroom.local.revisions.binding import bindings
from darkroom.local.revisions.fleet import Fleet
from darkroom.local.revisions.instances import InstanceState
from darkroom.local.watching.flow_rates import FlowRates
from darkroom.manifests import Manifests, with_namespace
from darkroom.manifests.revision import ServiceKey

ANSWER_WITHIN_S = 4.0
Document = dict[str, Any]


def map_routes(flow_map: FlowMap) -> Sequence[web.RouteDef]:
    async def show(_request: web.Request) -> web.Response:
        return web.json_response(await flow_map.document())

    return [web.get("/map", show)]


@dataclass(frozen=True, kw_only=True)
class FlowMap:
    manifests: Manifests
    fleet: Fleet
    brokers: Brokers
    rates: FlowRates
    broker_address: str
    """That of the Brokers' ingress."""

    async def document(self) -> Document:
        """Return `at`, `nodes` and `edges`. A backlog is None while NATS does not answer."""
        waiting = await self._waiting()
        edges = [
            *self._routes(),
            *self._sources(),
            *self._sinks(),
            *(self._delivery(each, waiting) for each in self.brokers.all_dispatchers),
            *self._replies(),
            *self._dead_letters(),
        ]
        return {"at": time.time(), "nodes": [*self._nodes(edges)], "edges": edges}

    # --- nodes -------------------------------------------------------------------------------------------------------

    def _nodes(self, edges: Sequence[Document]) -> Iterator[Document]:
        yield from (self._broker(address) for address in self.brokers.streams)
        yield from (_node("channel", *address) for address in self.brokers.channels.streams)
        yield from (self._function(key) for key in self.fleet.pools)
        for source in self.manifests.ping_sources:
            yield {**_node("source", source.namespace, source.name), "schedule": source.spec.schedule}
        for route in self.manifests.routes:
            paths = [match.path.value for rule in route.spec.rules for match in rule.matches]
            yield {**_node("route", route.namespace, route.name), "paths": paths or ["/"]}
        known = {edge[end] for edge in edges for end in ("from", "to") if edge[end].startswith("url:")}
        for name in sorted(known):
            yield {"id": name, "kind": "url", "namespace": "", "name": name.removeprefix("url:")}

    def _broker(self, address: tuple[str, str]) -> Document:
        return {**_node("broker", *address), "url": f"{self.broker_address}/{address[0]}/{address[1]}"}

    def _function(self, key: ServiceKey) -> Document:
        pool, decision = self.fleet.pools[key], self.fleet.scalers[key].decision
        states = [instance.state for instance in pool.instances]
        busy = sum(instance.in_flight > 0 for instance in pool.instances)
        return {
            **_node("function", *key),
            "label": pool.revision.label,
            "wanted": decision.desired,
            "ready": states.count(InstanceState.READY),
            "starting": states.count(InstanceState.STARTING),
            "busy": busy,
            "panicking": decision.panicking,
            "in_flight": sum(instance.in_flight for instance in pool.instances),
            "waiting": self.fleet.activator.queued(key),
            "failing": None if pool.trouble is None else pool.trouble.reason,
            "not_run": pool.not_run or None,
        }

    # --- edges -------------------------------------------------------------------------------------------------------

    def _routes(self) -> Iterator[Document]:
        for route in self.manifests.routes:
            targets = dict.fromkeys(self._alias(route.knative_service(rule)) for rule in route.spec.rules)
            for key in targets:
                if key in self.fleet.pools:
                    yield _edge("route", _id("route", route.namespace, route.name), _id("function", *key))

    def _alias(self, key: ServiceKey) -> ServiceKey:
        return self.manifests.backends.get(key, key)

    def _sources(self) -> Iterator[Document]:
        for source in self.manifests.ping_sources:
            sink = with_namespace(source.spec.sink, source.namespace)
            yield _edge("source", _id("source", source.namespace, source.name), self._at(cluster_url(sink)))

    def _sinks(self) -> Iterator[Document]:
        for key, binding in bindings(self.manifests).items():
            if key in self.fleet.pools:
                yield _edge("sink", _id("function", *key), self._at(cluster_url(binding.sink)))

    def _delivery(self, each: Dispatcher, waiting: Mapping[str, ConsumerState]) -> Document:
        receiver, state = each.route.receiver, waiting.get(consumer_name(each.route.receiver))
        now_s = time.monotonic()
        return {
            **_edge(each.kind, self._origin(each), self._at(each.route.subscriber_name), name=each.name),
            "namespace": receiver.namespace,
            "resource": receiver.name,
            "type": only_type_of(receiver),
            "per_second": round(self.rates.per_second(each, "delivered", now_s), 2),
            "retries_per_second": round(self.rates.per_second(each, "retried", now_s), 2),
            "backlog": None if state is None else state.waiting + state.unacked,
            "in_flight": each.in_flight,
            "max_in_flight": each.route.consumer.max_ack_pending,
            "last_failure": each.last_failure,
            **{name: each.counts[name] for name in (*COUNTED, REPLIED)},
        }

    def _replies(self) -> Iterator[Document]:
        """Yield where replies go. A Trigger's is drawn once there was one, since any subscriber might reply."""
        merged: dict[tuple[str, str], Document] = {}
        for each in self.brokers.all_dispatchers:
            reply_url = each.reply_url if isinstance(each, SubscriptionDispatcher) else None
            if not each.counts[REPLIED] and reply_url is None:
                continue
            if isinstance(each, SubscriptionDispatcher) and reply_url is None:
                continue
            to = self._origin(each) if reply_url is None else self._at(reply_url)
            ends = self._at(each.route.subscriber_name), to
            edge = merged.setdefault(ends, {**_edge("reply", *ends), "replied": 0, "per_second": 0.0})
            edge["replied"] += each.counts[REPLIED]
            edge["per_second"] += round(self.rates.per_second(each, REPLIED, time.monotonic()), 2)
        yield from merged.values()

    def _dead_letters(self) -> Iterator[Document]:
        """Yield an edge from each Broker or channel to each dead-letter sink of its receivers, with their sums."""
        merged: dict[tuple[str, str], Document] = {}
        for each in self.brokers.all_dispatchers:
            if each.route.dead_letter_sink is None or not each.route.dead_letter_name:
                continue
            ends = self._origin(each), self._at(each.route.dead_letter_name)
            edge = merged.setdefault(ends, {**_edge("dead-letter", *ends), "dead_lettered": 0, "receivers": []})
            edge["dead_lettered"] += each.counts["dead_lettered"]
            edge["receivers"].append(each.name)
        yield from merged.values()

    def _origin(self, each: Dispatcher) -> str:
        return _id("broker" if each.kind == "trigger" else "channel", *each.route.origin)

    def _at(self, url: str) -> str:
        """Return the id of the node that answers at a URL."""
        services: Collection[ServiceKey] = self.fleet.activator.services
        match locate(url, services):
            case ServiceTarget(service=service):
                return _id("function", *self._alias(service))
            case IngressTarget(broker=(namespace, name)) if (namespace, name) in self.brokers.streams:
                return _id("broker", namespace, name)
            case ChannelTarget(channel=channel) if channel in self.brokers.channels.streams:
                return _id("channel", *channel)
            case _:
                return f"url:{url}"

    # --- counts ------------------------------------------------------------------------------------------------------

    async def _waiting(self) -> dict[str, ConsumerState]:
        """Return what waits for each consumer."""
        streams = [*self.brokers.streams.values(), *self.brokers.channels.streams.values()]
        found = await asyncio.gather(*(_consumers(stream) for stream in streams))
        return {consumer: state for each in found for consumer, state in each.items()}


async def _consumers(stream: ChannelStream) -> Mapping[str, ConsumerState]:
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            return await stream.consumers()
    except (nats.errors.Error, DependencyUnavailableError, TimeoutError):
        # NATS is down, which the overview of servers says.
        return {}


def _id(kind: str, namespace: str, name: str) -> str:
    return f"{kind}:{namespace}/{name}"


def _node(kind: str, namespace: str, name: str) -> Document:
    return {"id": _id(kind, namespace, name), "kind": kind, "namespace": namespace, "name": name}


def _edge(kind: str, origin: str, to: str, *, name: str = "") -> Document:
    return {"id": f"{kind}|{origin}|{to}|{name}", "kind": kind, "from": origin, "to": to, "name": name}
