"""Delivers events to a function as the Broker does, in this process, and returns the HTTP responses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus

from cloudevents.abstract import CloudEvent as AnySdkEvent
from cloudevents.http import CloudEvent as SdkEvent

from darkroom.events import cloudevents
from darkroom.events.cloudevents import CloudEvent
from darkroom.serving.event_endpoint import EventEndpoint
from darkroom.serving.event_handler import EventHandler
from darkroom.serving.sdk_events import from_sdk, to_sdk


@dataclass(frozen=True)
class Delivery:
    """The response to one delivery, as the Broker would get it."""

    status: int
    """204: handled. 200: handled, with a reply. 500 or 503: deliver it again."""
    headers: Mapping[str, str]
    """By names in lower case."""
    body: bytes

    @cached_property
    def reply(self) -> SdkEvent:
        """The event in the response. Raises ValueError, which shows the response, where it contains none."""
        return to_sdk(self.replied)

    @property
    def reply_type(self) -> str:
        return self.replied.type

    @cached_property
    def replied(self) -> CloudEvent:
        """The reply as the library's own type."""
        if self.status != HTTPStatus.OK:
            raise ValueError(f"the function gave no reply, it answered {self.status}: {self.body.decode()!r}")
        return cloudevents.parse_one(self.headers, self.body)


def deliver(function: EventHandler | EventEndpoint, event: AnySdkEvent | CloudEvent) -> Delivery:
    """Deliver `event` to `function`. Raises EventInvalidError for an event that no Broker would deliver."""
    headers, body = cloudevents.encode_binary(event if isinstance(event, CloudEvent) else from_sdk(event))
    return post(function, headers, body)


def post(function: EventHandler | EventEndpoint, headers: Mapping[str, str], body: bytes) -> Delivery:
    """Send any request, for instance one that is not a valid event."""
    endpoint = function.build() if isinstance(function, EventHandler) else function
    answer = endpoint.answer({name.lower(): value for name, value in headers.items()}, body)
    answered = {name.lower(): value for name, value in answer.headers.items()}
    return Delivery(status=answer.status, headers=answered, body=answer.body)
