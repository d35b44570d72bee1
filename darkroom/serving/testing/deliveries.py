"""Hands an event to a function as the Broker does, in this process, and shows the HTTP answer that it would get."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from cloudevents.abstract import CloudEvent as AnySdkEvent
from cloudevents.http import CloudEvent as SdkEvent

from darkroom.events import cloudevents
from darkroom.events.cloudevents import CloudEvent
from darkroom.serving.event_endpoint import EventEndpoint
from darkroom.serving.event_handler import EventHandler
from darkroom.serving.sdk_events import from_sdk, to_sdk


@dataclass(frozen=True)
class Delivery:
    """What the Broker was answered."""

    status: int
    """204: dealt with. 200: dealt with, and here is the reply. 500 or 503: deliver it again."""
    headers: Mapping[str, str]
    """By names in lower case."""
    body: bytes

    @cached_property
    def reply(self) -> SdkEvent:
        """The event in the answer; raises EventInvalidError where there is none."""
        return to_sdk(self.replied)

    @property
    def reply_type(self) -> str:
        return self.replied.type

    @cached_property
    def replied(self) -> CloudEvent:
        """The same as the library's own type."""
        return cloudevents.parse_one(self.headers, self.body)


def deliver(function: EventHandler | EventEndpoint, event: AnySdkEvent | CloudEvent) -> Delivery:
    """What `function` answers to `event`. Raises EventInvalidError for an event that no Broker would deliver."""
    headers, body = cloudevents.encode_binary(event if isinstance(event, CloudEvent) else from_sdk(event))
    return post(function, headers, body)


def post(function: EventHandler | EventEndpoint, headers: Mapping[str, str], body: bytes) -> Delivery:
    """The same for a request that is no sound event."""
    endpoint = function.build() if isinstance(function, EventHandler) else function
    answer = endpoint.answer({name.lower(): value for name, value in headers.items()}, body)
    answered = {name.lower(): value for name, value in answer.headers.items()}
    return Delivery(status=answer.status, headers=answered, body=answer.body)
