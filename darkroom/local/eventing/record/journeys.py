"""The whole way of an event, put together from the record: accepted, filtered, attempted, answered, and what it caused.

Pure. An event is caused by another one if a Trigger's delivery made it (a reply, a dead letter, a subscriber that is a
Broker), if it is a replay of the other, or if its trace is the other's and it came over HTTP while a subscriber handled
the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from darkroom.events import tracing
from darkroom.events.cloudevents import CloudEvent, json_object
from darkroom.local.eventing.broker import ARRIVAL_EXTENSION, TTL_EXTENSION
from darkroom.local.eventing.delivery import Action
from darkroom.local.eventing.doors import Door
from darkroom.local.eventing.record.entries import (
    Accepted,
    AnyEntry,
    Attempted,
    DeadLettered,
    Delivery,
    Lost,
    event_of,
    has_id,
    replays,
)
from darkroom.local.eventing.record.reader import Batch, Found, Sets, parse
from darkroom.local.eventing.record.verdicts import Verdict, verdicts

REPLAY_OF = "replayof"
"""The extension of a replayed event: the id of the event that it repeats."""
MAX_EVENTS = 500
"""Of one tree. What was caused beyond is left out, and the document says so."""
_INTERNAL = (TTL_EXTENSION, ARRIVAL_EXTENSION)


def without_internals(event: CloudEvent) -> CloudEvent:
    """Return the event as it was sent, without what the ingress added."""
    kept = {name: value for name, value in event.extensions.items() if name not in _INTERNAL}
    return CloudEvent(**{**event.__dict__, "extensions": kept})


# --- finding ---------------------------------------------------------------------------------------------------------


class Related:
    """Picks from the record, in one pass, what concerns an event and everything that it caused.

    What an event caused is accepted after it, so each batch is searched for what the batches before led to. Two
    neighbours are searched together, because an event's first delivery may be written before its acceptance.
    """

    def __init__(self, id: str) -> None:
        self.found: dict[int, Found] = {}
        self.is_cut = False
        self._ids = {id}
        self._traces: set[str] = set()
        self._needles = {has_id(id), replays(id)}
        self._previous: Batch | None = None

    def search(self, batch: Batch, sets: Sets) -> None:
        window = [batch] if self._previous is None else [self._previous, batch]
        self._previous = batch
        while any(self._take(each, sets) for each in window):
            continue

    def _take(self, batch: Batch, sets: Sets) -> bool:
        """Take what is related; returns whether that led to events that were not known to be related."""
        needles = [needle for needle in self._needles if needle in batch.data]
        if not needles:
            for _ in parse(batch, lambda _line: False, sets):
                continue
            return False
        before = len(self._needles)
        for found in parse(batch, lambda line: any(needle in line for needle in needles), sets):
            if found.entry.number not in self.found and self._is_related(found.entry):
                self.found[found.entry.number] = found
                self._follow(found.entry)
        return len(self._needles) > before

    def _is_related(self, entry: AnyEntry) -> bool:
        match entry:
            case Accepted():
                return self._is_related_event(entry)
            case Delivery():
                return entry.id in self._ids
            case _:
                return False

    def _is_related_event(self, accepted: Accepted) -> bool:
        event = event_of(accepted)
        if event is None:
            return False
        return (
            event.id in self._ids
            or (accepted.cause is not None and accepted.cause.id in self._ids)
            or str(event.extensions.get(REPLAY_OF, "")) in self._ids
            or _trace_of(event) in self._traces
        )

    def _follow(self, entry: AnyEntry) -> None:
        event = event_of(entry) if isinstance(entry, Accepted) else None
        if event is None or event.id in self._ids:
            trace = "" if event is None else _trace_of(event)
        elif len(self._ids) >= MAX_EVENTS:
            self.is_cut = True
            return
        else:
            self._ids.add(event.id)
            self._needles |= {has_id(event.id), replays(event.id)}
            trace = _trace_of(event)
        if trace:
            self._traces.add(trace)
            self._needles.add(trace.encode())


def _trace_of(event: CloudEvent) -> str:
    context = tracing.from_attributes(event.extensions)
    return "" if context is None else context.trace_id


# --- putting together ------------------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class _Passage:
    """An event at one Broker."""

    accepted: Accepted
    digest: str
    event: CloudEvent
    deliveries: list[Delivery] = field(default_factory=list)
    caused: list[tuple[str, str, _Passage]] = field(default_factory=list)
    """How, by which Trigger, and what."""

    @property
    def key(self) -> tuple[str, str, str, int]:
        return self.accepted.broker, self.event.id, self.event.source, self.accepted.sequence


def journeys(related: Related, id: str, sets: Sets) -> list[dict[str, Any]]:
    """Return a document for each time that an event of this id was accepted, what it caused within it."""
    found = sorted(related.found.values(), key=lambda one: one.entry.number)
    passages = _passages(found)
    _add_deliveries(passages, [one.entry for one in found if isinstance(one.entry, Delivery)])
    nested = set(_link(passages))
    return [_document(passage, sets) for passage in passages if passage.event.id == id and passage.key not in nested]


def _passages(found: Sequence[Found]) -> list[_Passage]:
    return [
        _Passage(accepted=one.entry, digest=one.digest, event=event)
        for one in found
        if isinstance(one.entry, Accepted) and (event := event_of(one.entry)) is not None
    ]


def _add_deliveries(passages: Sequence[_Passage], deliveries: Sequence[Delivery]) -> None:
    by_key = {passage.key: passage for passage in reversed(passages) if not passage.accepted.is_duplicate}
    for delivery in deliveries:
        passage = by_key.get((delivery.broker, delivery.id, delivery.source, delivery.sequence))
        if passage is not None:
            passage.deliveries.append(delivery)


def _link(passages: Sequence[_Passage]) -> Iterator[tuple[str, str, str, int]]:
    """Put each event below what caused it; yields the keys of those that were."""
    for passage in passages:
        found = _parent(passage, passages)
        if found is not None:
            parent, how, trigger = found
            parent.caused.append((how, trigger, passage))
            yield passage.key


def _parent(passage: _Passage, passages: Sequence[_Passage]) -> tuple[_Passage, str, str] | None:
    accepted, cause = passage.accepted, passage.accepted.cause
    earlier = [one for one in passages if one.accepted.number < accepted.number and not one.accepted.is_duplicate]
    if cause is not None:
        for one in earlier:
            if one.key == (cause.broker, cause.id, cause.source, cause.sequence):
                return one, accepted.door, cause.trigger
        return None
    original = passage.event.extensions.get(REPLAY_OF)
    if accepted.door == Door.REPLAY and original is not None:
        of_it = [one for one in earlier if one.event.id == str(original)]
        return (of_it[-1], Door.REPLAY, "") if of_it else None
    return _emitter(passage, earlier)


def _emitter(passage: _Passage, earlier: Sequence[_Passage]) -> tuple[_Passage, str, str] | None:
    """Find the delivery during which an event of the same trace came over HTTP: the one that began last."""
    trace = _trace_of(passage.event)
    if not trace or passage.accepted.door != Door.HTTP:
        return None
    at = passage.accepted.at
    during = [
        (attempt.at, one, attempt)
        for one in earlier
        if _trace_of(one.event) == trace
        for attempt in one.deliveries
        if isinstance(attempt, Attempted) and attempt.at <= at <= attempt.at + attempt.lasted_s
    ]
    if not during:
        return None
    _, parent, attempt = max(during, key=lambda each: each[0])
    return parent, "emitted", attempt.trigger


# --- as documents ----------------------------------------------------------------------------------------------------


def _document(passage: _Passage, sets: Sets) -> dict[str, Any]:
    return {
        **acceptance(Found(entry=passage.accepted, digest=passage.digest), sets, with_event=True),
        "triggers": [] if passage.accepted.is_duplicate else list(_ways(passage, sets)),
        "caused": [
            {"how": how, "trigger": trigger, "event": _document(child, sets)}
            for how, trigger, child in sorted(passage.caused, key=lambda each: each[2].accepted.number)
        ],
    }


def acceptance(found: Found, sets: Sets, *, with_event: bool = False) -> dict[str, Any]:
    """Return an accepted event as a document, with each Trigger's verdict."""
    accepted = found.entry
    event = event_of(accepted) if isinstance(accepted, Accepted) else None
    if not isinstance(accepted, Accepted) or event is None:
        raise ValueError("not an accepted event")
    document: dict[str, Any] = {
        "kind": accepted.kind,
        "number": accepted.number,
        "at": accepted.at,
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.subject,
        "broker": accepted.broker,
        "sequence": accepted.sequence,
        "door": accepted.door,
        "name": accepted.name,
        "cause": None if accepted.cause is None else accepted.cause._asdict(),
        "replay_of": event.extensions.get(REPLAY_OF),
        "is_duplicate": bool(accepted.is_duplicate),
        "data_left_out_bytes": accepted.data_left_out_bytes,
        "verdicts": [_verdict(each) for each in _verdicts(accepted, event, found.digest, sets)],
    }
    return {**document, "event": json_object(without_internals(event))} if with_event else document


def _verdicts(accepted: Accepted, event: CloudEvent, digest: str, sets: Sets) -> Sequence[Verdict]:
    known = sets.get(digest)
    if known is None or accepted.is_duplicate:
        return []
    found = verdicts(event, accepted.broker, known)
    if accepted.door == Door.REPLAY and accepted.name:
        return [each for each in found if each.trigger == accepted.name]
    return found


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "trigger": verdict.trigger,
        "label": verdict.label,
        "subscriber": verdict.subscriber,
        "passed": not verdict.why_not,
        "why": verdict.why_not,
    }


def _ways(passage: _Passage, sets: Sets) -> Iterator[dict[str, Any]]:
    """Yield what each Trigger did with the event; first those that passed it."""
    found = {each.trigger: each for each in _verdicts(passage.accepted, passage.event, passage.digest, sets)}
    names = [*found, *dict.fromkeys(one.trigger for one in passage.deliveries if one.trigger not in found)]
    ways = [_way(name, found.get(name), [one for one in passage.deliveries if one.trigger == name]) for name in names]
    yield from sorted(ways, key=lambda way: way["state"] == "filtered out")


def _way(name: str, verdict: Verdict | None, deliveries: Sequence[Delivery]) -> dict[str, Any]:
    attempts = [one for one in deliveries if isinstance(one, Attempted)]
    letter = next((one for one in deliveries if isinstance(one, DeadLettered)), None)
    lost = next((one for one in deliveries if isinstance(one, Lost)), None)
    passed = bool(deliveries) or (verdict is not None and not verdict.why_not)
    return {
        "trigger": name,
        "label": name if verdict is None else verdict.label,
        "subscriber": "" if verdict is None else verdict.subscriber,
        "state": _state(attempts, letter, lost) if passed else "filtered out",
        "why": "" if passed or verdict is None else verdict.why_not,
        "attempts": [attempt_document(one) for one in attempts],
        "dead_letter": None if letter is None else {"at": letter.at, "sink": letter.sink, "outcome": letter.outcome},
        "lost": None if lost is None else {"at": lost.at, "why": lost.why},
    }


def attempt_document(attempt: Attempted) -> dict[str, Any]:
    return {
        "at": attempt.at,
        "attempt": attempt.attempt,
        "lasted_s": round(attempt.lasted_s, 6),
        "status": attempt.status,
        "outcome": attempt.outcome,
        "why": attempt.why or "",
        "next_in_s": attempt.next_in_s,
        "reply": None if attempt.reply_id is None else {"id": attempt.reply_id, "type": attempt.reply_type},
    }


_STATES: Mapping[str, str] = {
    Action.ACK: "answered",
    Action.REPLY: "replied",
    Action.REDELIVER: "retrying",
    Action.DEAD_LETTER: "being dead-lettered",
    Action.DROP: "failed",
}


def _state(attempts: Sequence[Attempted], letter: DeadLettered | None, lost: Lost | None) -> str:
    if lost is not None:
        return "lost"
    if letter is not None:
        return "dead-lettered"
    return _STATES.get(attempts[-1].action, "failed") if attempts else "waiting"
