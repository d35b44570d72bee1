"""Sends recorded events again: to their Broker, or to one Trigger's subscriber.

A replay has a new id, because the Broker's stream drops an id that it has had within its duplicate window, and
functions may do so for longer; the extension `replayof` names the event that it repeats. It is also a trace of its own.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

from darkroom.errors import DarkroomError
from darkroom.events import tracing
from darkroom.events.cloudevents import CloudEvent
from darkroom.local.eventing.broker import BrokerAddress, Ingress, admit
from darkroom.local.eventing.delivery import Disposition, classify, format_result
from darkroom.local.eventing.dispatch import Dispatcher
from darkroom.local.eventing.doors import Door, Entrance, enter
from darkroom.local.eventing.filters import attribute_texts, why_not
from darkroom.local.eventing.record.entries import Accepted, event_of
from darkroom.local.eventing.record.journeys import REPLAY_OF, without_internals


async def replay(accepted: Accepted, ingress: Ingress, to: Dispatcher | None) -> dict[str, Any]:
    """Send an event again; returns what became of it, with `error` if it was not sent."""
    event = event_of(accepted)
    if event is None:
        return {"id": "", "error": "the record has it in a form that cannot be read"}
    document: dict[str, Any] = {"id": event.id, "type": event.type, "broker": accepted.broker}
    if accepted.data_left_out_bytes:
        why = f"its {accepted.data_left_out_bytes} bytes are more than the record keeps of an event: send it again"
        return {**document, "error": why}
    again = _repeated(event)
    try:
        if to is None:
            with enter(Entrance(door=Door.REPLAY)):
                await ingress.publish(_address(accepted.broker), again)
            return {**document, "new_id": again.id, "outcome": "accepted"}
        return {**document, **await _to_subscriber(to, again, ingress)}
    except DarkroomError as exc:
        return {**document, "error": exc.detail}


async def _to_subscriber(to: Dispatcher, event: CloudEvent, ingress: Ingress) -> dict[str, Any]:
    trigger = to.route.trigger
    why = why_not(trigger.spec, attribute_texts(event.attributes()))
    if why:
        return {"error": f"{to.name} filters it out: {why}"}
    sent = admit(event)
    with enter(Entrance(door=Door.REPLAY, name=f"{trigger.namespace}/{trigger.name}")):
        ingress.record_replay(to.route.broker, sent)
    attempt = await to.replay(sent, 0)
    document = {"new_id": event.id}
    match classify(attempt.result), attempt.reply:
        case Disposition.REPLY, CloudEvent(type=type, id=id):
            return {**document, "outcome": f"the subscriber replied with {type} {id}"}
        case Disposition.ACCEPTED, _:
            return {**document, "outcome": f"the subscriber answered {format_result(attempt.result)}"}
        case _:
            return {**document, "error": f"the subscriber did not take it: {format_result(attempt.result)}"}


def _repeated(event: CloudEvent) -> CloudEvent:
    sent = without_internals(event)
    extensions = {**sent.extensions, REPLAY_OF: event.id}
    extensions.pop(tracing.TRACESTATE, None)
    if tracing.TRACEPARENT in extensions:
        extensions |= tracing.new_root().attributes()
    return replace(sent, id=str(uuid.uuid4()), extensions=extensions)


def _address(broker: str) -> BrokerAddress:
    namespace, _, name = broker.partition("/")
    return namespace, name
