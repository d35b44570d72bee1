"""What becomes of one delivery: the arithmetic and the verdicts of the channel-based broker on JetStream channels.

Not of the delivery specification, from which JetStream's dispatcher differs: there, a 4xx answer (other than 408 and
429) is neither retried nor dead-lettered while retries are left. What it really does was measured on a cluster. Nothing
here sends or waits; that is `dispatch`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeAlias

from darkroom.events.durations import parse_iso
from darkroom.manifests.channel import ChannelTemplate
from darkroom.manifests.eventing import Broker, Delivery, Trigger
from darkroom.manifests.model import Destination, with_namespace

MAX_ERROR_DATA_BYTES = 1024
"""Of knativeerrordata, in Base64."""


# --- the delivery block ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class DeliverySpec:
    retry: int = 0
    """Deliveries after the first one."""
    backoff_policy: Literal["linear", "exponential"] = "exponential"
    backoff_delay_s: float = 0.0
    timeout_s: float | None = None
    """Of each delivery; None: what the channel's ackWait leaves."""
    dead_letter_sink: Destination | None = None
    """A reference in it bears its namespace."""

    @property
    def max_deliveries(self) -> int:
        return self.retry + 1

    def backoff_s(self, attempt_index: int) -> float:
        """The wait after the delivery with this index, from 0: linear 0, d, 2d; exponential d, 2d, 4d."""
        factor = attempt_index if self.backoff_policy == "linear" else 2**attempt_index
        return self.backoff_delay_s * factor


def delivery_of(trigger: Trigger, broker: Broker) -> DeliverySpec:
    """A Trigger's block replaces the Broker's as a whole, except for the dead-letter sink, which is inherited."""
    own, inherited = trigger.spec.delivery, broker.spec.delivery
    block = own or inherited
    return DeliverySpec(
        retry=block.retry if block else 0,
        backoff_policy=(block.backoff_policy if block else None) or "exponential",
        backoff_delay_s=parse_iso(block.backoff_delay) if block and block.backoff_delay else 0.0,
        timeout_s=parse_iso(block.timeout) if block and block.timeout else None,
        dead_letter_sink=_sink(own, trigger.namespace) or _sink(inherited, broker.namespace),
    )


def _sink(block: Delivery | None, namespace: str) -> Destination | None:
    if block is None or block.dead_letter_sink is None:
        return None
    return with_namespace(block.dead_letter_sink, namespace)


@dataclass(frozen=True, kw_only=True)
class ConsumerSettings:
    """Of the JetStream consumer behind a Trigger."""

    max_deliver: int
    ack_wait_s: float
    max_ack_pending: int
    http_timeout_s: float
    """When a delivery's request is given up: before the consumer would deliver the event again."""


def consumer_settings(delivery: DeliverySpec, channel: ChannelTemplate) -> ConsumerSettings:
    """`delivery.timeout` T makes ackWait T + 0.5 s, whatever the channel's template says, and the request's timeout
    T + 0.3 s; without it they are the template's ackWait and 0.2 s less."""
    if delivery.timeout_s is not None:
        ack_wait_s, http_timeout_s = delivery.timeout_s + 0.5, delivery.timeout_s + 0.3
    else:
        ack_wait_s, http_timeout_s = channel.ack_wait_s, channel.ack_wait_s - 0.2
    return ConsumerSettings(
        max_deliver=delivery.max_deliveries,
        ack_wait_s=ack_wait_s,
        max_ack_pending=channel.max_ack_pending,
        http_timeout_s=http_timeout_s,
    )


# --- what came of a delivery -----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Answered:
    status: int
    body: bytes = b""
    is_event: bool = False
    """The answer is a CloudEvent, by its headers."""


@dataclass(frozen=True, kw_only=True)
class Unreachable:
    """No connection, or it broke before there was an answer."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class TimedOut:
    timeout_s: float


Outcome: TypeAlias = Answered | Unreachable | TimedOut


class Verdict(StrEnum):
    ACCEPTED = "accepted"
    REPLY = "reply"
    """Accepted, and the answer is an event for the Broker."""
    RETRY = "retry"
    LOST = "lost"
    """Never delivered again, and while retries are left not dead-lettered either."""


_RETRIED_4XX = (408, 429)


def classify(outcome: Outcome) -> Verdict:
    match outcome:
        case Unreachable() | TimedOut():
            return Verdict.RETRY
        case Answered(status=status) if 200 <= status < 300:
            return _classify_success(outcome)
        case Answered(status=status) if status >= 500 or status in _RETRIED_4XX:
            return Verdict.RETRY
        case _:
            return Verdict.LOST


def _classify_success(answer: Answered) -> Verdict:
    if answer.is_event:
        return Verdict.REPLY
    # The broker's filter makes a body that is no event a 502.
    return Verdict.RETRY if answer.body else Verdict.ACCEPTED


class Action(StrEnum):
    ACK = "ack"
    REPLY = "reply"
    """Publish the answer to the Broker, then ack."""
    REDELIVER = "redeliver"
    DEAD_LETTER = "dead_letter"
    DROP = "drop"
    """The event is lost; say so loudly."""


@dataclass(frozen=True, kw_only=True)
class Step:
    action: Action
    delay_s: float = 0.0
    """Before the next delivery, where there is one."""


def next_step(delivery: DeliverySpec, verdict: Verdict, attempt_index: int) -> Step:
    """What follows on the delivery with this index, from 0.

    The dispatcher dead-letters whatever fails on the last delivery, also what it would have dropped before.
    """
    if verdict is Verdict.ACCEPTED:
        return Step(action=Action.ACK)
    if verdict is Verdict.REPLY:
        return Step(action=Action.REPLY)
    if attempt_index >= delivery.retry:
        return Step(action=Action.DROP if delivery.dead_letter_sink is None else Action.DEAD_LETTER)
    if verdict is Verdict.RETRY:
        return Step(action=Action.REDELIVER, delay_s=delivery.backoff_s(attempt_index))
    return Step(action=Action.DROP)


# --- dead letters ----------------------------------------------------------------------------------------------------


def dead_letter_extensions(outcome: Outcome, destination: str) -> Mapping[str, str]:
    """The extensions that a dead letter bears beside its own.

    None after a timeout or a 2xx with a wrong body. A code is a string there: it travels as a header.
    """
    match outcome:
        case TimedOut():
            return {}
        case Answered(status=status) if 200 <= status < 300:
            return {}
        case Answered(status=status, body=body):
            return _error_extensions(destination, status, body)
        case Unreachable(reason=reason):
            return _error_extensions(destination, 500, reason.encode())


def _error_extensions(destination: str, code: int, body: bytes) -> Mapping[str, str]:
    extensions = {"knativeerrordest": destination, "knativeerrorcode": str(code)}
    data = _error_data(body)
    return {**extensions, "knativeerrordata": data} if data else extensions


def _error_data(body: bytes) -> str:
    """Base64 of what is printable, cut after encoding: 1024 is a multiple of four, so it still decodes."""
    printable = bytes(byte for byte in body if 31 <= byte <= 127)
    return base64.b64encode(printable).decode("ascii")[:MAX_ERROR_DATA_BYTES]
