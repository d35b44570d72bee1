"""What became of each event that Brokers accepted during a run of chaos, by Trigger. No I/O.

An event is expected at each Trigger whose filters it passes. It ends there as acknowledged, as a dead letter that its
sink has kept, or as lost. What has not ended when the run is over is stuck, or was lost without a report.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from darkroom.events.cloudevents import AttributeValue, CloudEvent
from darkroom.local.eventing.broker import ARRIVAL_EXTENSION, TTL_EXTENSION, BrokerAddress

MAX_EVENTS = 100_000
"""Some 60 MB. Further events are counted and otherwise left alone: no fault hits them."""


LISTED = 1_000
"""How many lost or stuck events are listed; all are counted."""


class End(StrEnum):
    ACKNOWLEDGED = "acknowledged"
    DEAD_LETTERED = "dead-lettered"
    LOST = "lost"


class Again(StrEnum):
    """Why a subscriber acknowledged an event that it had acknowledged before."""

    DUPLICATE = "duplicate"
    """Chaos delivered it twice."""
    LOST_ANSWER = "lost answer"
    """Chaos withheld its earlier answer, so the Broker delivered it again."""
    REDELIVERY = "redelivery"
    """The Broker delivered it again for a reason of its own, such as an ack that did not arrive."""


@dataclass(kw_only=True, slots=True)
class Course:
    """One event at one Trigger."""

    number: int = 0
    """Among the run's events at this Trigger, from 1, in the order of their first attempts; 0: not attempted yet."""
    attempts: int = 0
    executions: int = 0
    """How often the subscriber has acknowledged it, whether or not the answer reached the Broker."""
    answer_lost: bool = False
    again: tuple[Again, ...] = ()
    """One for each execution after the first. No Counter, because there are up to 100,000 of these."""
    end: End | None = None
    why: str = ""


@dataclass(kw_only=True, slots=True)
class Record:
    """One event."""

    id: str
    type: str
    broker: BrokerAddress | None = None
    """None: its stream has not confirmed it, yet it was delivered."""
    ttl: AttributeValue = 0
    courses: dict[str, Course] = field(default_factory=dict)


@dataclass(kw_only=True, slots=True)
class Turn:
    """One attempt that is under way."""

    record: Record
    course: Course
    attempt: int
    """From 1."""
    executed: int = 0


class Account:
    def __init__(self, *, began: str, max_events: int = MAX_EVENTS) -> None:
        """`began` and `close`: times as in ARRIVAL_EXTENSION. Events that arrived earlier or later are left alone."""
        self._began = began
        self._closed: str | None = None
        self._max_events = max_events
        self._adopted: set[str] = set()
        self._numbers: Counter[str] = Counter()
        self._open: dict[tuple[str, str], Course] = {}
        self.records: dict[str, Record] = {}
        self.accepted = 0
        self.left_out = 0
        self.replies: Counter[str] = Counter()

    def close(self, at: str) -> None:
        """Take no new events, except replies to those that are here."""
        self._closed = at

    def adopt(self, event_id: str) -> None:
        """Take this event when it is stored, also after `close`: it is the reply to one that is here."""
        if len(self._adopted) < self._max_events:
            self._adopted.add(event_id)

    @property
    def unfinished(self) -> int:
        return len(self._open)

    def unfinished_by_trigger(self) -> Counter[str]:
        return Counter(trigger for trigger, _ in self._open)

    def stored(self, broker: BrokerAddress, event: CloudEvent, triggers: Iterable[str]) -> None:
        """Take an event that a stream has stored, with the Triggers whose filters it passes."""
        record = self._record(event)
        if record is None and self._is_ours(event):
            self.left_out += 1
        self._adopted.discard(event.id)
        if record is None or record.broker is not None:
            return
        self.accepted += 1
        record.broker, record.ttl = broker, event.extensions.get(TTL_EXTENSION, 0)
        for trigger in triggers:
            self._course(record, trigger)

    def begin_attempt(self, trigger: str, event: CloudEvent) -> Turn | None:
        """Count an attempt; returns None for an event that is not the run's."""
        # A delivery may come before the confirmation of the stream.
        record = self._record(event)
        if record is None:
            return None
        course = self._course(record, trigger)
        if course.number == 0:
            self._numbers[trigger] += 1
            course.number = self._numbers[trigger]
        course.attempts += 1
        return Turn(record=record, course=course, attempt=course.attempts)

    @staticmethod
    def executed(turn: Turn) -> None:
        """Note that the subscriber has acknowledged the event."""
        course = turn.course
        if course.executions:
            reason = Again.LOST_ANSWER if course.answer_lost else Again.REDELIVERY
            course.again = (*course.again, Again.DUPLICATE if turn.executed else reason)
        turn.executed += 1
        course.executions += 1

    def end(self, trigger: str, event_id: str, end: End, why: str = "") -> None:
        """Note how an event ended at a Trigger. What was acknowledged once stays so."""
        course = self._course_of(trigger, event_id)
        if course is not None and course.end is not End.ACKNOWLEDGED:
            course.end, course.why = end, why
            self._open.pop((trigger, event_id), None)

    def note_failure(self, trigger: str, event_id: str, why: str) -> None:
        """Keep why the latest attempt failed, for events that turn out to be stuck."""
        course = self._course_of(trigger, event_id)
        if course is not None and course.end is None:
            course.why = why

    def _course_of(self, trigger: str, event_id: str) -> Course | None:
        record = self.records.get(event_id)
        return None if record is None else record.courses.get(trigger)

    def _course(self, record: Record, trigger: str) -> Course:
        course = record.courses.get(trigger)
        if course is None:
            course = record.courses[trigger] = self._open[trigger, record.id] = Course()
        return course

    def _record(self, event: CloudEvent) -> Record | None:
        record = self.records.get(event.id)
        if record is not None or not self._is_ours(event):
            return record
        if len(self.records) >= self._max_events:
            return None
        record = self.records[event.id] = Record(id=event.id, type=event.type)
        return record

    def _is_ours(self, event: CloudEvent) -> bool:
        arrived = str(event.extensions.get(ARRIVAL_EXTENSION, ""))
        is_in_time = arrived > self._began and (self._closed is None or arrived <= self._closed)
        return is_in_time or event.id in self._adopted


@dataclass(frozen=True, kw_only=True)
class Row:
    """One event at one Trigger that did not end well."""

    trigger: str
    number: int
    id: str
    type: str
    attempts: int
    executions: int
    why: str


@dataclass(kw_only=True)
class TriggerSum:
    trigger: str
    events: int = 0
    attempts: int = 0
    acknowledged: int = 0
    replies: int = 0
    dead_lettered: int = 0
    lost: int = 0
    stuck: int = 0
    again: Counter[Again] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        return {**vars(self), "again": {reason.value: self.again[reason] for reason in Again}}


@dataclass(frozen=True, kw_only=True)
class Reckoning:
    accepted: int
    left_out: int
    triggers: tuple[TriggerSum, ...]
    lost: tuple[Row, ...]
    """The first of them, as of those that are stuck; the sums count all."""
    stuck: tuple[Row, ...]

    @property
    def lost_count(self) -> int:
        return sum(row.lost for row in self.triggers)

    @property
    def stuck_count(self) -> int:
        return sum(row.stuck for row in self.triggers)

    @property
    def is_clean(self) -> bool:
        return self.lost_count == self.stuck_count == 0


VANISHED = "accepted, but its Trigger's consumer no longer has it, and nothing was reported"


def reckoning(account: Account, pending: Iterable[str]) -> Reckoning:
    """Sum up. `pending` are the Triggers that still have work: what is unfinished there is stuck, elsewhere lost."""
    still_busy = set(pending)
    triggers = {trigger for record in account.records.values() for trigger in record.courses} | set(account.replies)
    sums = {trigger: TriggerSum(trigger=trigger, replies=account.replies[trigger]) for trigger in sorted(triggers)}
    lost: list[Row] = []
    stuck: list[Row] = []
    for record, trigger, course in _courses(account):
        row = sums[trigger]
        row.events += 1
        row.attempts += course.attempts
        if course.again:
            row.again.update(course.again)
        match course.end:
            case End.ACKNOWLEDGED:
                row.acknowledged += 1
            case End.DEAD_LETTERED:
                row.dead_lettered += 1
            case None if trigger in still_busy:
                row.stuck += 1
                _list(stuck, record, trigger, course, course.why or "not delivered yet")
            case _:
                row.lost += 1
                _list(lost, record, trigger, course, VANISHED if course.end is None else course.why)
    return Reckoning(
        accepted=account.accepted,
        left_out=account.left_out,
        triggers=tuple(sums.values()),
        lost=tuple(lost),
        stuck=tuple(stuck),
    )


def _courses(account: Account) -> Iterator[tuple[Record, str, Course]]:
    for record in account.records.values():
        for trigger, course in record.courses.items():
            yield record, trigger, course


def _list(rows: list[Row], record: Record, trigger: str, course: Course, why: str) -> None:
    if len(rows) >= LISTED:
        return
    rows.append(
        Row(
            trigger=trigger,
            number=course.number,
            id=record.id,
            type=record.type,
            attempts=course.attempts,
            executions=course.executions,
            why=why,
        )
    )
