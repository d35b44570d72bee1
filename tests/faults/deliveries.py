"""Events as a broker that delivers more than once would have them: to the Broker's ingress, past ingest."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

import httpx

from darkroom.contract import events
from darkroom.events.cloudevents import CloudEvent, encode_binary
from tests.faults.faulty_stack import FaultyStack

AnswerT = TypeVar("AnswerT")


def event_of(faulty: FaultyStack, job_id: str) -> CloudEvent:
    record = faulty.record(job_id)
    assert record is not None
    return events.requested(record, source="/darkroom/tests")


def deliver_again(faulty: FaultyStack, job_id: str, *, times: int = 1) -> None:
    """As so many emissions of their own at once, so that the Broker's duplicate window keeps none of them back."""
    event = event_of(faulty, job_id)
    copies = [replace(event, id=f"{event.id}.{uuid.uuid4()}") for _ in range(times)]
    at_once([lambda copy=copy: publish(faulty, copy) for copy in copies])  # type: ignore[misc]


def publish(faulty: FaultyStack, event: CloudEvent) -> None:
    headers, body = encode_binary(event)
    answer = httpx.post(broker_url(faulty), headers=headers, content=body, timeout=20)
    assert answer.status_code == 202, answer.text


def broker_url(faulty: FaultyStack) -> str:
    return f"{faulty.stack.addresses['broker']}/darkroom/darkroom"


def at_once(calls: list[Callable[[], AnswerT]]) -> list[AnswerT]:
    with ThreadPoolExecutor(len(calls)) as threads:
        return [future.result() for future in [threads.submit(call) for call in calls]]
