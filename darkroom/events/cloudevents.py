"""Strict CloudEvents 1.0 over HTTP: decodes headers and bytes to events and encodes events, in binary, structured and
batched mode.

Hand-written because the SDK release that functions-framework pins accepts a third of what the specification forbids
(quoted and percent-encoded header values, both `data` and `data_base64`, invalid times, empty attributes). The tests
compare with the SDK. Section numbers below refer to version 1.0.2 of the CloudEvents specification ("core"), its HTTP
protocol binding ("http") and its JSON event format ("json").
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeAlias
from urllib.parse import unquote_to_bytes, urlsplit

from darkroom.errors import EventInvalidError
from darkroom.events import strict_json

AttributeValue: TypeAlias = str | int | bool

STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"
JSON = "application/json"

_PREFIX = "ce-"
_SPECVERSION = "1.0"
_REQUIRED = ("id", "source", "type")
_OPTIONAL = ("subject", "time", "datacontenttype", "dataschema")
_RESERVED = {"specversion", "data", "data_base64", *_REQUIRED, *_OPTIONAL}
_NAME = re.compile(r"[a-z0-9]+")
# RFC 3339, section 5.6. Python's own parser accepts much more than that.
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_LEAP_SECOND = re.compile(r"(:\d\d):60")
_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+\s*(;.*)?", re.ASCII | re.DOTALL)
_URI_REFERENCE = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_NONCHARACTERS = "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
# core 3.1.1, String: no control characters, no surrogates, no noncharacters.
_FORBIDDEN_CHARACTER = re.compile(f"[\\x00-\\x1f\\x7f-\\x9f\\ud800-\\udfff\\ufdd0-\\ufdef{_NONCHARACTERS}]")
# Printable ASCII that is neither percent-encoded nor quoted: no decoding needed.
_PLAIN_HEADER = re.compile(r"[ !#$&-~]*")
_TO_ENCODE = re.compile(r"[^!#$&-~]+")
_INT32 = range(-(2**31), 2**31)


@dataclass(frozen=True, kw_only=True)
class CloudEvent:
    """One event. `data` holds the payload's bytes regardless of the content mode; None means no payload."""

    id: str
    source: str
    type: str
    subject: str | None = None
    time: datetime | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    extensions: Mapping[str, AttributeValue] = field(default_factory=dict)
    data: bytes | None = None

    def attributes(self) -> dict[str, AttributeValue]:
        """Return every context attribute that is set, by name, as Trigger filters see them."""
        present: dict[str, AttributeValue] = {"specversion": _SPECVERSION}
        for name in (*_REQUIRED, "subject", "datacontenttype", "dataschema"):
            value = getattr(self, name)
            if value is not None:
                present[name] = value
        if self.time is not None:
            present["time"] = _time_text(self.time)
        return {**present, **self.extensions}

    def with_extensions(self, **extensions: AttributeValue) -> CloudEvent:
        return replace(self, extensions={**self.extensions, **extensions})

    def json(self) -> Any:
        """Return the payload as JSON; raises EventInvalidError if there is none or it is not JSON."""
        if self.data is None:
            raise EventInvalidError("the event has no data")
        if not is_json(self.datacontenttype):
            raise EventInvalidError(f"datacontenttype must be {JSON}, was {self.datacontenttype!r}")
        return _load_json(self.data, "data")


def new_event(
    type: str,
    source: str,
    data: Any,
    *,
    id: str | None = None,
    subject: str | None = None,
    dataschema: str | None = None,
    extensions: Mapping[str, AttributeValue] | None = None,
) -> CloudEvent:
    """Create an event with JSON data, the current time, and a new id unless one is given."""
    return CloudEvent(
        id=id or str(uuid.uuid4()),
        source=source,
        type=type,
        subject=subject,
        time=datetime.now(UTC),
        datacontenttype=JSON,
        dataschema=dataschema,
        extensions=dict(extensions or {}),
        data=json.dumps(data, separators=(",", ":"), allow_nan=False).encode(),
    )


def is_json(media_type: str | None) -> bool:
    """Report whether a media type means JSON (json 3.1.1): no type, the subtype json, or a subtype ending in +json."""
    if media_type is None:
        return True
    subtype = media_type.split(";")[0].strip().lower().partition("/")[2]
    return subtype == "json" or subtype.endswith("+json")


# --- receiving -------------------------------------------------------------------------------------------------------


def is_batch(headers: Mapping[str, str]) -> bool:
    return _essence(headers) == BATCHED


def is_event(headers: Mapping[str, str]) -> bool:
    """Report whether a request claims to be an event, in any mode (http 3). Header names are lower case."""
    return _essence(headers).startswith("application/cloudevents") or f"{_PREFIX}specversion" in headers


def parse(headers: Mapping[str, str], body: bytes) -> list[CloudEvent]:
    """Parse the events of a request: one, or those of a batch, which may be empty. Header names are lower case.

    Raises EventInvalidError, which names the attribute and what is wrong with it.
    """
    essence = _essence(headers)
    if essence == BATCHED:
        return _parse_batch(body)
    if essence == STRUCTURED:
        return [from_json_object(_load_json(body, "the event"))]
    if essence.startswith("application/cloudevents"):
        raise EventInvalidError(f"only the JSON event format is taken ({STRUCTURED} or {BATCHED}), not {essence}")
    if f"{_PREFIX}specversion" in headers:
        return [_parse_binary(headers, body)]
    raise EventInvalidError(
        f"not a CloudEvent: neither a ce-specversion header nor the Content-Type {STRUCTURED} or {BATCHED}"
    )


def parse_each(body: bytes) -> list[CloudEvent | EventInvalidError]:
    """Parse each element of a batch (json 4) to an event or its error. Raises EventInvalidError if it is no batch."""
    return [_event_or_error(element) for element in _elements(body)]


def _event_or_error(element: Any) -> CloudEvent | EventInvalidError:
    try:
        return from_json_object(element)
    except EventInvalidError as exc:
        return exc


def parse_one(headers: Mapping[str, str], body: bytes) -> CloudEvent:
    """Parse the single event of a request; raises EventInvalidError for a batch too."""
    if _essence(headers) == BATCHED:
        raise EventInvalidError("a batch is not taken here, send one event a request")
    return parse(headers, body)[0]


def _essence(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").split(";")[0].strip().lower()


def _parse_binary(headers: Mapping[str, str], body: bytes) -> CloudEvent:
    attributes: dict[str, AttributeValue] = {}
    for header, raw in headers.items():
        if not header.startswith(_PREFIX):
            continue
        name = header.removeprefix(_PREFIX)
        if name in {"data", "data_base64", "datacontenttype"}:
            raise EventInvalidError(f"the header {header} is not allowed (http 3.1.3); use the body and Content-Type")
        attributes[name] = _decode_header(name, raw)
    media_type = headers.get("content-type", "").strip()
    if media_type:
        attributes["datacontenttype"] = media_type
    # http 3.1.2 does not distinguish an empty body from no body; without a Content-Type it means no data.
    return _event(attributes, body if body or media_type else None)


def _decode_header(name: str, raw: str) -> str:
    """Decode a header value (http 3.1.3.2): unquote a quoted-string, then percent-decode as UTF-8."""
    value = raw.strip(" \t")
    if _PLAIN_HEADER.fullmatch(value):
        return value
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    if _BAD_PERCENT.search(value):
        # The specification does not define a lone %; the receivers in use keep it unchanged.
        value = _BAD_PERCENT.sub("%25", value)
    try:
        # Some senders put raw UTF-8 into headers; HTTP servers decode it as Latin-1.
        return unquote_to_bytes(value.encode("latin-1")).decode("utf-8")
    except UnicodeError as exc:
        raise EventInvalidError(f"{name} is not valid UTF-8 after percent-decoding: {raw!r}") from exc


def _elements(body: bytes) -> list[Any]:
    batch = _load_json(body, "the batch")
    if not isinstance(batch, list):
        raise EventInvalidError(f"a batch must be a JSON array (json 4), was {_json_type(batch)}")
    return batch


def _parse_batch(body: bytes) -> list[CloudEvent]:
    events = []
    for index, element in enumerate(_elements(body)):
        try:
            events.append(from_json_object(element))
        except EventInvalidError as exc:
            raise EventInvalidError(f"event {index} of the batch: {exc.detail}") from exc
    return events


def from_json_object(value: Any) -> CloudEvent:
    """Parse a JSON object in the JSON event format; raises EventInvalidError."""
    if not isinstance(value, dict):
        raise EventInvalidError(f"an event must be a JSON object (json 3), was {_json_type(value)}")
    # json 2.1: a null attribute is an absent attribute.
    members = {name: member for name, member in value.items() if member is not None or name == "data"}
    has_data, has_base64 = "data" in members, "data_base64" in members
    if has_data and has_base64:
        raise EventInvalidError("data and data_base64 exclude each other (json 3.1)")
    data_member = members.pop("data", None)
    base64_member = members.pop("data_base64", None)
    event = _event(members, None)
    if has_base64:
        return replace(event, data=_decode_base64(base64_member))
    if has_data:
        return replace(event, data=_data_from_json(data_member, event.datacontenttype))
    return event


def _decode_base64(member: Any) -> bytes:
    if not isinstance(member, str):
        raise EventInvalidError(f"data_base64 must be a string (json 3.1.1), was {_json_type(member)}")
    try:
        return base64.b64decode(member, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise EventInvalidError(f"data_base64 is not Base64: {exc}") from exc


def _data_from_json(member: Any, media_type: str | None) -> bytes:
    try:
        if isinstance(member, str) and not is_json(media_type):
            return member.encode()
        return strict_json.dump(member)
    except ValueError as exc:
        raise EventInvalidError(f"data {exc}") from exc


def _event(attributes: Mapping[str, Any], data: bytes | None) -> CloudEvent:
    """Build an event from attributes after checking each against core 3."""
    version = attributes.get("specversion")
    if version != _SPECVERSION:
        raise EventInvalidError(f'specversion must be "{_SPECVERSION}", was {version!r}')
    required = {name: _required(attributes, name) for name in _REQUIRED}
    _check_uri_reference("source", required["source"])
    time = _optional_text(attributes, "time")
    dataschema = _optional_text(attributes, "dataschema")
    if dataschema is not None:
        _check_uri_reference("dataschema", dataschema)
        scheme, colon, _ = dataschema.partition(":")
        if not colon or not _SCHEME.fullmatch(scheme):
            raise EventInvalidError(f"dataschema must be an absolute URI (core 3.1), was {dataschema!r}")
    media_type = _optional_text(attributes, "datacontenttype")
    if media_type is not None and not _MEDIA_TYPE.fullmatch(media_type):
        raise EventInvalidError(f"datacontenttype must be a media type (RFC 2046), was {media_type!r}")
    return CloudEvent(
        **required,
        subject=_optional_text(attributes, "subject"),
        time=None if time is None else _parse_time(time),
        datacontenttype=media_type,
        dataschema=dataschema,
        extensions=_extensions(attributes),
        data=data,
    )


def _required(attributes: Mapping[str, Any], name: str) -> str:
    value = _optional_text(attributes, name)
    if value is None:
        raise EventInvalidError(f"{name} is required (core 3.1)")
    return value


def _optional_text(attributes: Mapping[str, Any], name: str) -> str | None:
    value = attributes.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise EventInvalidError(f"{name} must be a string, was {_json_type(value)}")
    if not value:
        raise EventInvalidError(f"{name} must not be empty (core 3.1)")
    _check_characters(name, value)
    return value


def _extensions(attributes: Mapping[str, Any]) -> dict[str, AttributeValue]:
    extensions: dict[str, AttributeValue] = {}
    for name, value in attributes.items():
        if name in _RESERVED:
            continue
        if not _NAME.fullmatch(name):
            raise EventInvalidError(f"attribute names are lower-case letters and digits (core 3), found {name[:64]!r}")
        if value == "":
            # Knative's dispatcher sends empty ce-traceparent and ce-tracestate for events without a trace.
            continue
        extensions[name] = _extension_value(name, value)
    return extensions


def _extension_value(name: str, value: Any) -> AttributeValue:
    if isinstance(value, bool):
        return value
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        # JSON has a single number type: 1.0 is 1.
        number = int(value)
        if number not in _INT32:
            raise EventInvalidError(f"{name} must be a 32-bit integer (core 3.1.1), was {number}")
        return number
    if isinstance(value, str):
        _check_characters(name, value)
        return value
    raise EventInvalidError(f"{name} must be a string, a boolean or an integer (core 3.1.1), was {_json_type(value)}")


def _check_characters(name: str, value: str) -> None:
    found = _FORBIDDEN_CHARACTER.search(value)
    if found is not None:
        point = ord(found[0])
        raise EventInvalidError(f"{name} holds the character U+{point:04X}, which is not allowed (core 3.1.1)")


def _check_uri_reference(name: str, value: str) -> None:
    """Check a URI reference (RFC 3986, section 4.1): its characters, complete percent-encodings, a valid authority."""
    sound = _URI_REFERENCE.fullmatch(value) is not None and not _BAD_PERCENT.search(value)
    try:
        urlsplit(value)
    except ValueError:
        sound = False
    if not sound:
        raise EventInvalidError(f"{name} must be a URI reference (RFC 3986), was {value!r}")


def _parse_time(text: str) -> datetime:
    if _TIME.fullmatch(text):
        # RFC 3339 allows a leap second, which datetime does not. datetime keeps six digits of a second.
        without_leap_second = _LEAP_SECOND.sub(r"\1:59", text.upper())
        try:
            return datetime.fromisoformat(without_leap_second)
        except ValueError:
            pass
    raise EventInvalidError(f"time must be an RFC 3339 timestamp, was {text!r}")


def _load_json(body: bytes, what: str) -> Any:
    try:
        return strict_json.load(body)
    except ValueError as exc:
        raise EventInvalidError(f"{what}: {exc}") from exc


def _json_type(value: Any) -> str:
    names: dict[type, str] = {
        dict: "an object",
        list: "an array",
        str: "a string",
        bool: "a boolean",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), "null")


# --- sending ---------------------------------------------------------------------------------------------------------


def encode_binary(event: CloudEvent) -> tuple[dict[str, str], bytes]:
    """Encode an event as headers and body in binary mode (http 3.1)."""
    headers = {
        f"{_PREFIX}{name}": _encode_header(_attribute_text(value))
        for name, value in event.attributes().items()
        if name != "datacontenttype"
    }
    if event.datacontenttype is not None:
        headers["content-type"] = event.datacontenttype
    return headers, event.data or b""


def encode_structured(event: CloudEvent) -> tuple[dict[str, str], bytes]:
    """Encode an event as headers and body in structured mode (http 3.2)."""
    body = strict_json.dump(json_object(event))
    return {"content-type": f"{STRUCTURED}; charset=utf-8"}, body


def encode_batch(events: Iterable[CloudEvent]) -> tuple[dict[str, str], bytes]:
    """Encode events as headers and body in batched mode (http 3.3)."""
    body = strict_json.dump([json_object(event) for event in events])
    return {"content-type": f"{BATCHED}; charset=utf-8"}, body


def json_object(event: CloudEvent) -> dict[str, Any]:
    """Convert an event to the JSON event format: JSON data unchanged, anything else in Base64."""
    members: dict[str, Any] = dict(event.attributes())
    if event.data is None:
        return members
    if is_json(event.datacontenttype):
        try:
            data = strict_json.load(event.data)
            if b"\\u" in event.data:
                # Half of a surrogate pair can be escaped in JSON, but a receiver could not write it out again.
                strict_json.dump(data)
            return {**members, "data": data}
        except ValueError:
            # Binary mode does not guarantee that the payload matches its media type.
            pass
    return {**members, "data_base64": _base64(event.data)}


def lossless_json_object(event: CloudEvent) -> dict[str, Any]:
    """Convert an event like `json_object`, but preserve the data byte for byte.

    JSON that is formatted differently from ours, or that Python's numbers cannot hold, is encoded in Base64 too.
    """
    members = json_object(event)
    if "data" not in members or strict_json.dump(members["data"]) == event.data:
        return members
    del members["data"]
    return {**members, "data_base64": _base64(event.data or b"")}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _encode_header(value: str) -> str:
    """Percent-encode spaces, double quotes, percent signs and everything but printable ASCII (http 3.1.3.2)."""
    return _TO_ENCODE.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), value)


def _attribute_text(value: AttributeValue) -> str:
    """Return the canonical string form of an attribute (core 3.1.1)."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _time_text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
