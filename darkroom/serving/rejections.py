"""Answers requests that are not events with a rejection event, which recovery keeps."""

from __future__ import annotations

from collections.abc import Mapping

from darkroom.contract import events
from darkroom.errors import EventInvalidError
from darkroom.events.cloudevents import CloudEvent
from darkroom.serving.answers import Done, EventAnswer
from darkroom.serving.event_endpoint import Unreadable

_KEPT_BYTES = 65_536


def rejecting_unreadable(service: str) -> Unreadable:
    """Make the `unreadable` handler for an `EventEndpoint` of this service."""

    def reject(headers: Mapping[str, str], body: bytes, error: EventInvalidError) -> EventAnswer:
        source = f"/darkroom/{service}"
        wrapped = CloudEvent(
            id=headers.get("ce-id") or "unknown",
            source=source,
            type="dev.darkroom.unreadable",
            datacontenttype="application/octet-stream",
            data=body[:_KEPT_BYTES],
        )
        return Done(reply=events.rejected(wrapped, error.detail, source=source))

    return reject
