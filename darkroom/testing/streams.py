"""Asks JetStream what the Triggers still have to deliver.

A consumer's counts alone do not tell: nats-server counts a new event shortly after it has acknowledged it. So the last
event that a Trigger could be interested in is compared with the last one that it was given.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import nats.js.api as jsapi
import nats.js.errors
from nats.aio.client import Client
from nats.js import JetStreamContext

from darkroom.local.eventing.dispatch import Route
from darkroom.local.eventing.stream import consumer_name


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """What a Trigger has to deliver."""

    waiting: int
    unacked: int
    """Being delivered, or waiting for their next attempt."""


async def backlogs(connection: Client, routes: Mapping[str, Route]) -> dict[str, Backlog]:
    """Return the Triggers that have anything left, by name."""
    jetstream = connection.jetstream()
    left: dict[str, Backlog] = {}
    for stream, labels in _by_stream(routes).items():
        for consumer in await jetstream.consumers_info(stream):
            label = labels.get(consumer.name)
            backlog = await _backlog(jetstream, stream, consumer)
            if label is not None and (backlog.waiting or backlog.unacked):
                left[label] = backlog
    return left


def _by_stream(routes: Mapping[str, Route]) -> Mapping[str, Mapping[str, str]]:
    """Return the Triggers' names by stream and consumer."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for label, route in routes.items():
        found[route.stream.name][consumer_name(route.receiver)] = label
    return found


async def _backlog(jetstream: JetStreamContext, stream: str, consumer: jsapi.ConsumerInfo) -> Backlog:
    waiting, unacked = consumer.num_pending or 0, consumer.num_ack_pending or 0
    if not waiting:
        given = consumer.delivered.stream_seq if consumer.delivered else 0
        waiting = int(await _last_sequence(jetstream, stream, _subjects(consumer)) > given)
    return Backlog(waiting=waiting, unacked=unacked)


def _subjects(consumer: jsapi.ConsumerInfo) -> Iterable[str]:
    one = consumer.config.filter_subject
    return consumer.config.filter_subjects or ([one] if one else [])


async def _last_sequence(jetstream: JetStreamContext, stream: str, subjects: Iterable[str]) -> int:
    """Return the sequence of the last event on any of the subjects; 0 if none is left."""
    last = 0
    for subject in subjects:
        try:
            last = max(last, (await jetstream.get_last_msg(stream, subject)).seq or 0)
        except nats.js.errors.NotFoundError:
            continue
    return last
