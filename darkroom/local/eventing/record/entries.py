"""What the record consists of: one entry for each thing that happened, and its form in bytes. Pure.

An entry is one line: a JSON object that begins with its kind. An accepted event has its own JSON behind a tab, which no
JSON contains, so that it is stored as the Broker's stream has it, without being encoded again. The lines are written
compactly and in ASCII: readers look for `"id":"..."` in the bytes before they parse anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from json.encoder import encode_basestring_ascii as _text
from typing import Any, ClassVar, TypeAlias

from darkroom.errors import EventInvalidError
from darkroom.events.cloudevents import CloudEvent, from_json_object
from darkroom.local.eventing.doors import Cause, Door

MAX_PAYLOAD_BYTES = 768 * 1024
"""Of one event. With more, a message of the record could be larger than NATS takes, so the event's data is left out."""


@dataclass(kw_only=True)
class Entry:
    """Never changed, and yet not frozen: that would take three times as long, twice for each event."""

    kind: ClassVar[str]

    number: int
    """Increases with each entry, from one run to the next too."""
    at: float
    """When it happened or began, in seconds since the epoch."""


@dataclass(kw_only=True)
class Accepted(Entry):
    """A Broker's stream has the event."""

    kind: ClassVar[str] = "accepted"

    broker: str
    sequence: int
    """Its number in the Broker's stream."""
    door: str = Door.HTTP.value
    name: str | None = None
    cause: Cause | None = None
    is_duplicate: bool = False
    """The stream had an event of this id within its duplicate window, and dropped this one."""
    data_left_out_bytes: int | None = None
    """The event was too large for the record, which has it without its data."""
    payload: bytes = b""
    """The event in the JSON event format."""

    @property
    def event(self) -> CloudEvent:
        """Parse the event. Raises EventInvalidError."""
        return from_json_object(json.loads(self.payload))


@dataclass(kw_only=True)
class Refused(Entry):
    """The Broker's ingress did not take a request."""

    kind: ClassVar[str] = "refused"

    broker: str
    error: str
    id: str | None = None
    type: str | None = None


@dataclass(kw_only=True)
class Delivery(Entry):
    """What an entry about a Trigger's delivery has."""

    broker: str
    trigger: str
    id: str
    source: str
    type: str
    sequence: int


@dataclass(kw_only=True)
class Attempted(Delivery):
    kind: ClassVar[str] = "attempted"

    attempt: int
    """From 1."""
    lasted_s: float
    """The wait for an instance included."""
    action: str
    """What follows: an `Action`."""
    outcome: str
    """The answer, as `format_result` describes it."""
    status: int | None = None
    why: str | None = None
    """Why it counts as a failure."""
    next_in_s: float | None = None
    reply_id: str | None = None
    reply_type: str | None = None


@dataclass(kw_only=True)
class DeadLettered(Delivery):
    kind: ClassVar[str] = "dead_lettered"

    sink: str
    outcome: str


@dataclass(kw_only=True)
class Lost(Delivery):
    kind: ClassVar[str] = "lost"

    why: str


@dataclass(kw_only=True)
class Missed(Entry):
    """A gap: entries that were dropped rather than slow the Brokers down."""

    kind: ClassVar[str] = "missed"

    count: int


@dataclass(kw_only=True)
class TriggersKnown(Entry):
    """The Triggers in force, from which it follows which events were filtered out, and why.

    Verdicts are not stored: there would be one for each event and Trigger, most of which say no. A set is written again
    before it can drop out of the record.
    """

    kind: ClassVar[str] = "triggers"

    digest: str
    triggers: Sequence[Mapping[str, Any]]


AnyEntry: TypeAlias = Accepted | Refused | Attempted | DeadLettered | Lost | Missed | TriggersKnown

_KINDS: dict[str, type[AnyEntry]] = {
    kind.kind: kind for kind in (Accepted, Refused, Attempted, DeadLettered, Lost, Missed, TriggersKnown)
}
_ENCODER = json.JSONEncoder(separators=(",", ":"))
_FIELDS = {kind: frozenset(field.name for field in fields(kind)) for kind in _KINDS.values()}
_RARE = {
    Accepted: ("name", "cause", "is_duplicate", "data_left_out_bytes"),
    Attempted: ("why", "next_in_s", "reply_id", "reply_type"),
}
"""The fields that are left out of a line where they have their default, which is null or false."""


def begins(kind: type[Entry]) -> bytes:
    """Return how each line of this kind begins."""
    return f'{{"kind":"{kind.kind}"'.encode()


def has_id(id: str) -> bytes:
    """Return what each line about the event contains, and each about what it caused."""
    return b'"id":' + _json(id)


def has_id_from(beginning: str) -> bytes:
    """Return what each line about an event contains whose id begins so."""
    return has_id(beginning)[:-1]


def replays(id: str) -> bytes:
    """Return what the line of each replay of this event contains."""
    return b'"replayof":' + _json(id)


def encode(entry: AnyEntry) -> bytes:
    match entry:
        case Accepted():
            return _encode_accepted(entry).encode() + b"\t" + entry.payload
        case Attempted():
            return _encode_attempted(entry).encode()
        case _:
            return _json({"kind": entry.kind, **entry.__dict__})


# Nearly every event has a line of each of these two kinds. A JSONEncoder takes three times as long.


def _encode_accepted(entry: Accepted) -> str:
    return (
        f'{{"kind":"accepted","number":{entry.number},"at":{entry.at!r},"broker":{_text(entry.broker)},'
        f'"sequence":{entry.sequence},"door":{_text(entry.door)}{_encode_rare(entry)}}}'
    )


def _encode_attempted(entry: Attempted) -> str:
    status = "null" if entry.status is None else entry.status
    return (
        f'{{"kind":"attempted","number":{entry.number},"at":{entry.at!r},"broker":{_text(entry.broker)},'
        f'"trigger":{_text(entry.trigger)},"id":{_text(entry.id)},"source":{_text(entry.source)},'
        f'"type":{_text(entry.type)},"sequence":{entry.sequence},"attempt":{entry.attempt},'
        f'"lasted_s":{entry.lasted_s!r},"action":{_text(entry.action)},"outcome":{_text(entry.outcome)},'
        f'"status":{status}{_encode_rare(entry)}}}'
    )


def _encode_rare(entry: Accepted | Attempted) -> str:
    members, text = entry.__dict__, ""
    for name in _RARE[type(entry)]:
        value = members[name]
        if value is not None and value is not False:
            text += f',"{name}":{_ENCODER.encode(value._asdict() if name == "cause" else value)}'
    return text


def decode(line: bytes) -> AnyEntry | None:
    """Parse a line; None for one that another version wrote."""
    head, _, payload = line.partition(b"\t")
    try:
        members = json.loads(head)
        kind = _KINDS[members["kind"]]
        known = {name: value for name, value in members.items() if name in _FIELDS[kind]}
        if known.get("cause") is not None:
            known["cause"] = Cause(**known["cause"])
        if kind is Accepted:
            known["payload"] = payload
        return kind(**known)
    except (ValueError, KeyError, TypeError):
        return None


def without_data(payload: bytes) -> bytes:
    """Return an event's JSON without its data."""
    members = json.loads(payload)
    return _json({name: value for name, value in members.items() if name not in ("data", "data_base64")})


def event_of(accepted: Accepted) -> CloudEvent | None:
    """Return the event; None if the record has it in a form that cannot be read."""
    try:
        return accepted.event
    except (EventInvalidError, ValueError):
        return None


def _json(value: Any) -> bytes:
    return _ENCODER.encode(value).encode()
