"""The delivery rules of the channel-based broker on JetStream channels: backoff, timeouts, retries and dead letters.

They follow JetStream's dispatcher, as measured on a cluster, which differs from the delivery specification: the
dispatcher neither retries nor dead-letters a 4xx response (other than 408 and 429) while retries are left. Nothing here
sends or waits; see `dispatch`.
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
"""The maximum size of knativeerrordata, in Base64."""


# --- the delivery block ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class DeliverySpec:
    retry: int = 0
    """Deliveries after the first one."""
    backoff_policy: Literal["linear", "exponential"] = "exponential"
    backoff_delay_s: float = 0.0
    timeout_s: float | None = None
    """Per delivery; None: derived from the channel's ackWait."""
    dead_letter_sink: Destination | None = None
    """A reference in it has its namespace."""

    @property
    def max_deliveries(self) -> int:
        return self.retry + 1

    def backoff_s(self, attempt_index: int) -> float:
        """Return the delay after the delivery with this index, from 0: linear 0, d, 2d; exponential d, 2d, 4d."""
        factor = attempt_index if self.backoff_policy == "linear" else 2**attempt_index
        return self.backoff_delay_s * factor


def delivery_of(trigger: Trigger, broker: Broker) -> DeliverySpec:
    """Return a Trigger's delivery rules. Its block replaces the Broker's, except for the dead-letter sink, which is
    inherited."""
    return combined_delivery(trigger.spec.delivery, trigger.namespace, broker.spec.delivery, broker.namespace)


def combined_delivery(
    own: Delivery | None, namespace: str, inherited: Delivery | None, inherited_namespace: str
) -> DeliverySpec:
    """Combine the block of a Trigger or Subscription with that of its Broker or channel."""
    block = own or inherited
    return DeliverySpec(
        retry=block.retry if block else 0,
        backoff_policy=(block.backoff_policy if block else None) or "exponential",
        backoff_delay_s=parse_iso(block.backoff_delay) if block and block.backoff_delay else 0.0,
        timeout_s=parse_iso(block.timeout) if block and block.timeout else None,
        dead_letter_sink=_sink(own, namespace) or _sink(inherited, inherited_namespace),
    )


def _sink(block: Delivery | None, namespace: str) -> Destination | None:
    if block is None or block.dead_letter_sink is None:
        return None
    return with_namespace(block.dead_letter_sink, namespace)


@dataclass(frozen=True, kw_only=True)
class ConsumerSettings:
    """Settings of the JetStream consumer behind a Trigger or Subscription."""

    max_deliver: int
    ack_wait_s: float
    max_ack_pending: int
    http_timeout_s: float
    """When a delivery's request is aborted, which is before the consumer would redeliver the event."""


def consumer_settings(delivery: DeliverySpec, channel: ChannelTemplate) -> ConsumerSettings:
    """Compute the consumer settings of a Trigger or Subscription.

    A `delivery.timeout` of T sets ackWait to T + 0.5 s, overriding the channel's template, and the request's timeout to
    T + 0.3 s. Without it, ackWait is the template's and the request's timeout is 0.2 s less.
    """
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


# --- the result of a delivery ----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Answered:
    status: int
    body: bytes = b""
    is_event: bool = False
    """The headers say that the response is a CloudEvent."""


@dataclass(frozen=True, kw_only=True)
class Unreachable:
    """There was no connection, or it broke before a response."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class TimedOut:
    timeout_s: float


SendResult: TypeAlias = Answered | Unreachable | TimedOut


@dataclass(frozen=True, kw_only=True)
class ReplyFailed:
    """The subscriber took the event, but the Subscription's `reply` did not take what it answered."""

    destination: str
    result: SendResult


DeliveryResult: TypeAlias = SendResult | ReplyFailed


class Disposition(StrEnum):
    """How the dispatcher treats a result."""

    ACCEPTED = "accepted"
    REPLY = "reply"
    """Accepted, and the response is an event for the Broker."""
    RETRY = "retry"
    LOST = "lost"
    """Never redelivered, and not dead-lettered either while retries are left."""
    REPLY_LOST = "reply_lost"
    """Never redelivered, because the subscriber took the event, but dead-lettered."""


_RETRIED_4XX = (408, 429)


def classify(result: DeliveryResult) -> Disposition:
    match result:
        case ReplyFailed():
            return Disposition.REPLY_LOST
        case Unreachable() | TimedOut():
            return Disposition.RETRY
        case Answered(status=status) if 200 <= status < 300:
            return _classify_success(result)
        case Answered(status=status) if status >= 500 or status in _RETRIED_4XX:
            return Disposition.RETRY
        case _:
            return Disposition.LOST


_RETRIED_SENDS = (404, 408, 409, 429)


def is_success(result: SendResult) -> bool:
    return isinstance(result, Answered) and 200 <= result.status < 300


def is_sent_again(result: SendResult) -> bool:
    """Report whether a reply that met with this result is sent again, by the delivery specification.

    Unlike with deliveries from the stream, a dispatcher keeps to it here (knative/eventing,
    pkg/kncloudevents/retries.go).
    """
    return not isinstance(result, Answered) or result.status >= 500 or result.status in _RETRIED_SENDS


def _classify_success(answer: Answered) -> Disposition:
    if answer.is_event:
        return Disposition.REPLY
    # The broker's filter turns a body that is not an event into a 502.
    return Disposition.RETRY if answer.body else Disposition.ACCEPTED


class Action(StrEnum):
    ACK = "ack"
    REPLY = "reply"
    """Publish the response to the Broker, then ack."""
    REDELIVER = "redeliver"
    DEAD_LETTER = "dead_letter"
    DROP = "drop"
    """The event is lost, which is reported."""


@dataclass(frozen=True, kw_only=True)
class Step:
    action: Action
    delay_s: float = 0.0
    """Before the next delivery, if there is one."""


def next_step(delivery: DeliverySpec, disposition: Disposition, attempt_index: int) -> Step:
    """Decide what follows the delivery with this index, from 0.

    The dispatcher dead-letters whatever fails on the last delivery, even what it would have dropped earlier.
    """
    if disposition is Disposition.ACCEPTED:
        return Step(action=Action.ACK)
    if disposition is Disposition.REPLY:
        return Step(action=Action.REPLY)
    if attempt_index >= delivery.retry or disposition is Disposition.REPLY_LOST:
        return Step(action=Action.DROP if delivery.dead_letter_sink is None else Action.DEAD_LETTER)
    if disposition is Disposition.RETRY:
        return Step(action=Action.REDELIVER, delay_s=delivery.backoff_s(attempt_index))
    return Step(action=Action.DROP)


# --- reasons, for people ---------------------------------------------------------------------------------------------


def format_result(result: DeliveryResult) -> str:
    """Describe a result on one line."""
    match result:
        case Answered(status=status, body=body):
            return f"{status} {body[:200].decode(errors='replace')}".strip() if body else str(status)
        case Unreachable(reason=reason):
            return f"no answer: {reason}"
        case TimedOut(timeout_s=timeout_s):
            return f"no answer within {timeout_s:g} s"
        case ReplyFailed(destination=destination, result=reason):
            return f"the reply to {destination}: {format_result(reason)}"


def explain_failure(result: DeliveryResult) -> str:
    """Say why a result counts as a failure, and what to do about it; empty for a success."""
    match result:
        case Answered(status=status, body=body, is_event=is_event) if 200 <= status < 300:
            if is_event or not body:
                return ""
            return (
                f"{status} with a body that is no CloudEvent counts as a failure: answer 204 without a body, or with "
                "an event. functions-framework answers OK for a cloud_event function, so use its http signature"
            )
        case Answered(status=status) if 300 <= status < 400:
            return f"{status} counts as a failure: redirects are not followed. Give the address itself as subscriber"
        case Answered(status=429):
            return "429: the subscriber takes no more for now. Its Retry-After is ignored; only the backoff counts"
        case Answered(status=status) if status < 500 and status not in _RETRIED_4XX:
            return (
                f"{status} is neither retried nor dead-lettered by JetStream channels while retries are left: answer "
                "503, or 200 with an event that says what is wrong"
            )
        case Answered(status=status):
            return f"{status} counts as a failure, and is retried: its body or the subscriber's log says why"
        case Unreachable():
            return "there was no connection, or it broke before an answer: nothing serves that address, or it crashed"
        case TimedOut(timeout_s=timeout_s):
            return (
                f"the subscriber did not answer within {timeout_s:g} s, which follows from delivery.timeout or else "
                "the channel's ackWait: raise it, or answer sooner"
            )
        case ReplyFailed(destination=destination):
            return (
                f"the subscriber took the event, but its reply did not reach {destination}: the event is given up "
                "without another delivery"
            )


# --- dead letters ----------------------------------------------------------------------------------------------------


def dead_letter_extensions(
    result: DeliveryResult, destination: str, *, through_filter: bool = True
) -> Mapping[str, str]:
    """Return the extensions that are added to a dead letter.

    Behind a Broker's filter, as a Trigger is, there are none after a timeout or a 2xx with an invalid body. The code is
    a string because it travels as a header.
    """
    match result:
        case ReplyFailed(destination=reply_destination, result=reason):
            return dead_letter_extensions(reason, reply_destination, through_filter=False)
        case TimedOut():
            return {} if through_filter else _error_extensions(destination, 500, format_result(result).encode())
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
    """Encode the printable bytes in Base64, and truncate: 1024 is a multiple of four, so the result still decodes."""
    printable = bytes(byte for byte in body if 31 <= byte <= 127)
    return base64.b64encode(printable).decode("ascii")[:MAX_ERROR_DATA_BYTES]
