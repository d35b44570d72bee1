"""What happened at a test's Broker: every attempt to deliver, in order, and every event that was lost.

The runtime's thread writes, the test's threads wait and read.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from darkroom.events.cloudevents import CloudEvent
from darkroom.local.eventing.delivery import Answered, DeliveryResult, explain_failure, format_result
from darkroom.local.eventing.subscribers import Attempt, Deliver

EventKey: TypeAlias = tuple[str, str]
"""Source and id."""


@dataclass(frozen=True, kw_only=True)
class DeliveryAttempt:
    """One attempt to deliver one event, after it has ended."""

    trigger: str
    """The name of the Trigger or Subscription, or `pingsource/NAME`."""
    to: str
    """`service/NAME`, `broker/NAMESPACE/NAME` or a URL."""
    event: CloudEvent
    number: int
    """From 1, of this event to this destination by this Trigger."""
    is_dead_letter: bool
    result: DeliveryResult
    reply: CloudEvent | None
    delay_s: float | None = None
    """The backoff that was asked for before the next attempt; None: there is none."""

    @property
    def status(self) -> int | None:
        """The HTTP status; None without an answer."""
        return self.result.status if isinstance(self.result, Answered) else None

    @property
    def succeeded(self) -> bool:
        return (
            isinstance(self.result, Answered) and 200 <= self.result.status < 300 and not explain_failure(self.result)
        )

    @property
    def outcome(self) -> str:
        """The status with the beginning of the body, or why there was no answer."""
        return format_result(self.result)

    @property
    def why(self) -> str:
        """Why it counts as a failure, and what to do about it; empty for a success."""
        return explain_failure(self.result)

    def __str__(self) -> str:
        kind = "dead letter" if self.is_dead_letter else f"attempt {self.number}"
        reply = f", with the reply {self.reply.type}" if self.reply else ""
        later = f", next after {self.delay_s:g} s" if self.delay_s is not None else ""
        return f"{self.trigger}: {kind} of {self.event.type} {self.event.id} to {self.to}: {self.outcome}{reply}{later}"


@dataclass(frozen=True, kw_only=True)
class LostEvent:
    """An event that a Trigger gave up without a dead letter, as a cluster would."""

    trigger: str
    id: str
    type: str
    outcome: str
    why: str


class Recorder:
    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._attempts: list[DeliveryAttempt] = []
        self._lost: list[LostEvent] = []
        self._numbers: Counter[tuple[str, str, bool, EventKey]] = Counter()
        self._notes: list[str] = []
        self._failure: BaseException | None = None
        self._has_failed = False
        self._activity = 0

    # --- written by the runtime --------------------------------------------------------------------------------------

    def watching(self, deliver: Deliver, *, trigger: str, to: str, is_dead_letter: bool = False) -> Deliver:
        """Return a function that delivers and records what came of it."""

        async def recorded(event: CloudEvent, timeout_s: float) -> Attempt:
            self._count()
            attempt = await deliver(event, timeout_s)
            self._add(trigger, to, event, attempt, is_dead_letter=is_dead_letter)
            return attempt

        return recorded

    def delayed(self, trigger: str, event: CloudEvent, delay_s: float) -> None:
        """Note the backoff after the last attempt."""
        with self._changed:
            for index in reversed(range(len(self._attempts))):
                attempt = self._attempts[index]
                is_last = attempt.trigger == trigger and key_of(attempt.event) == key_of(event)
                if is_last and not attempt.is_dead_letter:
                    self._attempts[index] = replace(attempt, delay_s=delay_s)
                    break
            self._changed.notify_all()

    def report(self, action: str, /, **fields: Any) -> None:
        """Take a report of the runtime's."""
        with self._changed:
            if action == "event.lost":
                names = ("id", "type", "outcome", "why")
                by = str(fields.get("trigger") or fields.get("subscription"))
                self._lost.append(LostEvent(trigger=by, **{name: str(fields[name]) for name in names}))
            elif action in _NOTED:
                self._notes.append(f"{action} " + " ".join(f"{name}={value}" for name, value in fields.items()))
            self._changed.notify_all()

    def failed(self, error: BaseException) -> None:
        """Keep what a handler raised, so that a test whose assertion failed in a handler fails."""
        with self._changed:
            self._notes.append(f"a handler raised {type(error).__name__}: {error}")
            is_of_the_test = not isinstance(error, Exception) or isinstance(error, AssertionError)
            if is_of_the_test and not self._has_failed:
                self._failure, self._has_failed = error, True
            self._changed.notify_all()

    def _count(self) -> None:
        with self._changed:
            self._activity += 1

    def _add(self, trigger: str, to: str, event: CloudEvent, attempt: Attempt, *, is_dead_letter: bool) -> None:
        with self._changed:
            self._activity += 1
            counted = (trigger, to, is_dead_letter, key_of(event))
            self._numbers[counted] += 1
            self._attempts.append(
                DeliveryAttempt(
                    trigger=trigger,
                    to=to,
                    event=event,
                    number=self._numbers[counted],
                    is_dead_letter=is_dead_letter,
                    result=attempt.result,
                    reply=attempt.reply,
                )
            )
            self._changed.notify_all()

    # --- read by the test --------------------------------------------------------------------------------------------

    @property
    def activity(self) -> int:
        """Grows with each delivery that begins or ends."""
        with self._changed:
            return self._activity

    def attempts(self) -> list[DeliveryAttempt]:
        with self._changed:
            return list(self._attempts)

    def lost(self) -> list[LostEvent]:
        with self._changed:
            return list(self._lost)

    def notes(self) -> list[str]:
        with self._changed:
            return list(self._notes)

    def take_failure(self) -> BaseException | None:
        """Return the first failed assertion of a handler, once. Those of its retries say the same."""
        with self._changed:
            failure, self._failure = self._failure, None
            return failure

    def wait_until(self, condition: Callable[[], bool], within_s: float) -> bool:
        """Wait until a condition of what is recorded is true or a handler's assertion failed; returns the condition."""
        with self._changed:
            self._changed.wait_for(lambda: self._failure is not None or condition(), timeout=within_s)
            return condition()


_NOTED = frozenset(
    {
        "delivery.not_acked",
        "event.duplicate_dropped",
        "event.not_stored",
        "event.refused",
        "event.unreadable",
        "instance.died",
        "instance.start_failed",
        "revision.failed",
        "nats.disconnected",
        "nats.error",
        "part.crashed",
        "ping.failed",
        "reply.not_published",
    }
)
"""Reports that help to explain why a test waited in vain."""


def key_of(event: CloudEvent) -> EventKey:
    return (event.source, event.id)


def distinct(events: Iterable[CloudEvent]) -> list[CloudEvent]:
    """Return each event once, in the order of its first delivery."""
    first: dict[EventKey, CloudEvent] = {}
    for event in events:
        first.setdefault(key_of(event), event)
    return list(first.values())
