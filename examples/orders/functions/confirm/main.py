"""Charges a placed order, and confirms it. Some cannot be charged: the Broker tries again, and then gives them up."""

from cloudevents.http import CloudEvent

from darkroom.serving import on_event


class CardDeclinedError(Exception):
    """The bank refuses this order, today and tomorrow."""


@on_event("shop.order.placed")
def confirm(event: CloudEvent) -> CloudEvent:
    order = event.data
    if order["number"] % 10 == 0:
        raise CardDeclinedError(f"order {order['number']}")
    attributes = {"type": "shop.order.confirmed", "source": "/shop/confirm", "id": f"{event['id']}-confirmed"}
    return CloudEvent(attributes, {**order, "state": "confirmed"})
