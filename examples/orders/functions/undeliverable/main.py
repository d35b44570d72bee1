"""The dead-letter sink: keeps what nobody could handle, for a person. Here, its log is where they are kept."""

from cloudevents.http import CloudEvent

from darkroom.serving import on_event


@on_event("shop.order.requested", "shop.order.placed", "shop.order.confirmed")
def keep(event: CloudEvent) -> None:
    attributes = event.get_attributes()
    why = f"{attributes.get('knativeerrordest', '')} answered {attributes.get('knativeerrorcode', 'nothing')}"
    print(f"order {event.data['number']} was given up as {event['type']}: {why}")
