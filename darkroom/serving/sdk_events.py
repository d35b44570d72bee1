"""Converts between our CloudEvent and the SDK's, `cloudevents.http.CloudEvent`.

The SDK's type is the one that authors know, and is used only to give them events. The wire format is read and written
by `darkroom.events.cloudevents`, which refuses errors that the SDK accepts.

In the SDK's event, `data` is a Python value if the payload is JSON, bytes if it is anything else, and None if there is
none. Attributes are strings, as in the SDK (the time too), except extensions that were integers or booleans in an event
in JSON format.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from enum import Enum
from typing import Any

from cloudevents.abstract import CloudEvent as AnySdkEvent
from cloudevents.http import CloudEvent as SdkEvent

from darkroom.errors import EventInvalidError
from darkroom.events import cloudevents, strict_json
from darkroom.events.cloudevents import CloudEvent

_BYTES = "application/octet-stream"


def to_sdk(event: CloudEvent) -> SdkEvent:
    """Convert to the SDK's type. Raises EventInvalidError where data declared as JSON is not JSON."""
    attributes: dict[str, Any] = dict(event.attributes())
    converted = SdkEvent(attributes, _value(event))
    if "time" not in attributes:
        # The SDK would otherwise fill in the present time.
        del converted["time"]
    return converted


def from_sdk(event: AnySdkEvent) -> CloudEvent:
    """Convert from the SDK's type. Raises EventInvalidError, which names the invalid attribute, or the data.

    Data without a `datacontenttype` gets one: JSON, or for bytes `application/octet-stream`.
    """
    checked = cloudevents.from_json_object(_attributes(event.get_attributes()))
    data = event.get_data()
    if data is None:
        return checked
    if checked.datacontenttype is None:
        checked = replace(checked, datacontenttype=_BYTES if _is_bytes(data) else cloudevents.JSON)
    return replace(checked, data=_payload(data, checked.datacontenttype or _BYTES))


def _value(event: CloudEvent) -> Any:
    """Return the payload as the function receives it."""
    # Many senders name a Content-Type on an empty body.
    if event.data is None or (not event.data and cloudevents.is_json(event.datacontenttype)):
        return None
    if not cloudevents.is_json(event.datacontenttype):
        return event.data
    try:
        return strict_json.load(event.data)
    except ValueError as exc:
        if event.datacontenttype is None:
            # A sender in binary mode that does not declare a type: JSON is only a guess.
            return event.data
        raise EventInvalidError(f"data is declared to be {event.datacontenttype}, but is {exc}") from exc


def _attributes(given: Mapping[str, Any]) -> dict[str, Any]:
    for name in ("data", "data_base64"):
        if name in given:
            raise EventInvalidError(f"{name} is no attribute: give it as the event's data")
    return {name: _attribute(name, value) for name, value in given.items()}


def _attribute(name: str, value: Any) -> str | bool | int | None:
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise EventInvalidError(f"{name} must have a time zone (core 3.1.1), was {value.isoformat()}")
        return value.isoformat()
    if value is None or isinstance(value, str | bool | int):
        return value
    raise EventInvalidError(
        f"{name} must be a string, a boolean, an integer or a datetime (core 3.1.1), was {type(value).__name__}"
    )


def _payload(data: Any, media_type: str) -> bytes:
    is_json = cloudevents.is_json(media_type)
    if _is_bytes(data):
        return _checked_json(bytes(data), media_type) if is_json else bytes(data)
    if is_json:
        return _json(data, media_type)
    if isinstance(data, str):
        return _utf8(data)
    raise EventInvalidError(f"data that is {media_type} must be bytes or a string, was {type(data).__name__}")


def _is_bytes(data: Any) -> bool:
    return isinstance(data, bytes | bytearray | memoryview)


def _checked_json(data: bytes, media_type: str) -> bytes:
    try:
        strict_json.load(data)
    except ValueError as exc:
        raise EventInvalidError(f"data is declared to be {media_type}, but its bytes are {exc}") from exc
    return data


def _json(data: Any, media_type: str) -> bytes:
    try:
        text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as exc:
        raise EventInvalidError(f"data cannot be sent as {media_type}: {exc}") from exc
    return _utf8(text)


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as exc:
        raise EventInvalidError(f"data cannot be sent as UTF-8: {exc.reason} at character {exc.start}") from exc
