"""Ships a confirmed order. The end of the flow: there is no reply."""

from cloudevents.http import CloudEvent

from darkroom.serving import on_event


@on_event("shop.order.confirmed")
def ship(event: CloudEvent) -> None:
    print(f"order {event.data['number']}: {event.data['item']} is on its way")
