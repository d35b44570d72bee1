"""Takes a request for an order, and places it."""

from cloudevents.http import CloudEvent

from darkroom.serving import on_event


@on_event("shop.order.requested")
def place(event: CloudEvent) -> CloudEvent:
    order = {**event.data, "state": "placed"}
    # The id follows from the request's: a request that is delivered twice is placed once, because the Broker drops the
    # second reply by its id.
    attributes = {"type": "shop.order.placed", "source": "/shop/place", "id": f"{event['id']}-placed"}
    return CloudEvent(attributes, order)
