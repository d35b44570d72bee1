"""Triggers and Subscriptions: events that are lost, deliveries that fail, a filter that matches nothing, a throttle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from darkroom.diagnosis.finding import Finding
from darkroom.diagnosis.likeness import nearest
from darkroom.diagnosis.words import counted

LOSS_SHOWN_S = 300.0
"""A loss is shown so long, or until the function that caused it has another revision."""
FAILURE_SHOWN_S = 60.0
"""A failed delivery is shown so long, or until the next one succeeds."""
MAX_ACK_PENDING_FIX = "maxAckPending about twice max-scale x containerConcurrency."
KINDS = ("trigger", "subscription")


def trigger_findings(status: Mapping[str, Any], now: float) -> Iterator[Finding]:
    for kind in KINDS:
        for row in status.get(f"{kind}s", []):
            if is_losing(row, status, now):
                yield _loses(kind, row)
            elif is_failing(row, status, now):
                yield _fails(kind, row)
    for row in status.get("triggers", []):
        yield from _matches_nothing(row, status)
        yield from _held_back(row, status)


def function_of(row: Mapping[str, Any], status: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the row of the function to which a Trigger delivers; None if it delivers elsewhere."""
    found = [one for one in status.get("functions", []) if one.get("service") == row.get("service")]
    return found[0] if found else None


# --- lost, failing ---------------------------------------------------------------------------------------------------


def is_losing(row: Mapping[str, Any], status: Mapping[str, Any], now: float) -> bool:
    lost = row.get("last_lost")
    if not lost or now - lost["at"] >= LOSS_SHOWN_S:
        return False
    return not _is_replaced_since(row, status, lost["at"])


def is_failing(row: Mapping[str, Any], status: Mapping[str, Any], now: float) -> bool:
    failure = row.get("last_failure")
    if not failure or now - failure["at"] >= FAILURE_SHOWN_S or _is_replaced_since(row, status, failure["at"]):
        return False
    return float(row.get("last_accepted_at") or 0.0) <= float(failure["at"])


def _is_replaced_since(row: Mapping[str, Any], status: Mapping[str, Any], at: float) -> bool:
    """Report whether the function that failed has another revision by now, which has yet to show what it does."""
    function = function_of(row, status)
    return function is not None and float(function.get("revision_at") or 0.0) > at


def last_failed_delivery(kind: str, row: Mapping[str, Any]) -> str:
    """Say why the last delivery that failed did so."""
    failure = row["last_failure"]
    return f"{kind.capitalize()} {row.get(kind)}: its last failed delivery: {failure.get('why') or failure['outcome']}"


def _loses(kind: str, row: Mapping[str, Any]) -> Finding:
    lost = row["last_lost"]
    return Finding(
        code="trigger.loses",
        severity="loss",
        subject=f"{kind} {row[kind]}",
        sentence=(
            f"{kind.capitalize()} {row[kind]} loses events, {row['lost']} so far. The last one, {lost.get('type')} "
            f"{lost['id']}, was answered {lost['outcome']}: {lost['why']}."
        ),
        remedy=_against_loss(kind, row),
        since=lost["at"],
        link=_event_page(lost["id"]),
    )


def _against_loss(kind: str, row: Mapping[str, Any]) -> str:
    lost, receiver = row["last_lost"], row.get("service") or row.get("subscriber")
    again = "`darkroom events replay` sends what was lost once more after that."
    if str(lost["why"]).startswith("the dead-letter sink"):
        return f"Mend {row.get('dead_letter_sink') or 'the dead-letter sink'}, which takes what was given up. {again}"
    if 400 <= int(lost.get("status") or 0) < 500:
        return (
            f"Let {receiver} answer 503 for what another try can mend, and 200 with an event that says what is wrong "
            f"for what can never be handled. {again}"
        )
    missing = "" if row.get("dead_letter_sink") else f"Give {kind.capitalize()} {row[kind]} a deadLetterSink. "
    return f"{missing}Mend what {receiver} answers. {again}"


def _fails(kind: str, row: Mapping[str, Any]) -> Finding:
    failure = row["last_failure"]
    receiver = row.get("service") or row.get("subscriber")
    return Finding(
        code="trigger.failing",
        severity="delay",
        subject=f"{kind} {row[kind]}",
        sentence=f"{last_failed_delivery(kind, row)}.",
        remedy=f"Look at what {receiver} logged. What fails is tried again, and then goes to the dead-letter sink.",
        since=failure["at"],
        link=_event_page(failure["id"]),
    )


def _event_page(id: str) -> str:
    return f"/events/one?id={quote(id, safe='')}"


# --- a filter that matches nothing -----------------------------------------------------------------------------------


def _matches_nothing(row: Mapping[str, Any], status: Mapping[str, Any]) -> Iterator[Finding]:
    """Only where a slip is likely: a Trigger may wait long for an event that is rare."""
    wanted = row.get("filter_type")
    seen = _types_of_broker(row, status)
    if not wanted or wanted in seen or row.get("delivered") or row.get("backlog"):
        return
    meant = nearest(wanted, seen)
    if meant is None:
        return
    passed_by = sum(seen.values())
    yield Finding(
        code="trigger.matches_nothing",
        severity="stop",
        subject=f"trigger {row['trigger']}",
        sentence=(
            f"the filter of Trigger {row['trigger']} matches nothing: of {counted(passed_by, 'event')} that Broker "
            f"{row['broker']} has taken, none has the type {wanted}, which it asks for. {meant} came "
            f"{counted(seen[meant], 'time')}; did you mean that? {row.get('service') or row.get('subscriber')} gets "
            "nothing."
        ),
        remedy=(
            f"Correct the type in the filter of Trigger {row['trigger']}, and start `darkroom up` again; or correct "
            "the type of what is sent."
        ),
        link=f"/events?broker={row['broker_namespace']}/{row['broker']}",
    )


def _types_of_broker(row: Mapping[str, Any], status: Mapping[str, Any]) -> Mapping[str, int]:
    for broker in status.get("brokers", []):
        if (broker["namespace"], broker["name"]) == (row.get("broker_namespace"), row.get("broker")):
            types: Mapping[str, int] = broker.get("types", {})
            return types
    return {}


# --- a consumer that holds back --------------------------------------------------------------------------------------


def max_ack_pending_low(max_ack_pending: int, function: str, capacity: int) -> str:
    """Say that fewer events are delivered at once than a function can process."""
    return f"maxAckPending is {max_ack_pending}, {function} could process {capacity} at once"


def _held_back(row: Mapping[str, Any], status: Mapping[str, Any]) -> Iterator[Finding]:
    function, pending = function_of(row, status), row.get("max_ack_pending")
    if function is None or not pending:
        return
    capacity = int(function.get("max_scale") or 0) * int(function.get("container_concurrency") or 0)
    if pending >= capacity:
        return
    yield Finding(
        code="trigger.held_back",
        severity="delay",
        subject=f"trigger {row['trigger']}",
        sentence=(
            f"{max_ack_pending_low(pending, function['service'], capacity)}: Trigger {row['trigger']} delivers no more "
            f"than {counted(pending, 'event')} at a time, and instances that max-scale allows are never needed."
        ),
        remedy=(
            f"Set maxAckPending to {2 * capacity} in the consumerConfigTemplate of Broker {row['broker']}: "
            f"{MAX_ACK_PENDING_FIX} Then start `darkroom up` again."
        ),
    )
