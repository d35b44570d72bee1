"""The fixture with Subscriptions: a Sequence's steps are handlers of the test's."""

from __future__ import annotations

import pytest

from darkroom.events.cloudevents import new_event
from darkroom.testing import Broker, CloudEvent
from tests.stack import ROOT

pytestmark = pytest.mark.darkroom(project=ROOT / "examples" / "sequence")
FIRST = "orders-kn-sequence-0"


def step(event: CloudEvent) -> CloudEvent:
    return new_event("step.done", "/tests", {"steps": event.json()["steps"] + 1})


def test_an_event_goes_through_the_steps_of_a_sequence(broker: Broker) -> None:
    broker.subscribe(FIRST, step)
    broker.subscribe("orders-kn-sequence-1", step)
    broker.send("shop.order.placed", {"steps": 0}, broker=FIRST)
    assert broker.received("orders-kn-sequence-2")[0].json() == {"steps": 2}
    broker.settled()


def test_a_step_that_answers_nothing_ends_the_sequence(broker: Broker) -> None:
    broker.send("shop.order.placed", {"steps": 0}, broker=FIRST)
    broker.settled()
    assert len(broker.received(FIRST)) == 1
    assert broker.received("orders-kn-sequence-1", count=0) == []
