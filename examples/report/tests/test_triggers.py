"""The Triggers, without the functions."""

from darkroom.events.cloudevents import new_event
from darkroom.testing import Broker, CloudEvent


def test_orders_are_counted_and_pings_are_reported(broker: Broker) -> None:
    broker.send("shop.order.placed", {"item": "lamp"})
    broker.ping("report")
    broker.settled()

    assert [event.type for event in broker.received("count")] == ["shop.order.placed"]
    assert [event.type for event in broker.received("report")] == ["dev.knative.sources.ping"]
    assert broker.received("announce", count=0) == []


def test_a_report_is_announced(broker: Broker) -> None:
    def report(ping: CloudEvent) -> CloudEvent:
        return new_event("shop.report.written", "/shop/report", {"day": "2026-11-30", "orders": 3})

    broker.subscribe("report", report)
    broker.ping("report")

    assert broker.received("announce")[0].json() == {"day": "2026-11-30", "orders": 3}


def test_an_order_that_cannot_be_counted_is_tried_four_times_and_given_up(broker: Broker) -> None:
    broker.subscribe("count", lambda event: 500)
    order = broker.send("shop.order.placed", {"item": "lamp"})

    assert [letter.id for letter in broker.dead_letters("count")] == [order.id]
    assert broker.delays(order) == [1.0, 2.0, 4.0]
