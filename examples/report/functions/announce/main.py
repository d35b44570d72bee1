"""Says what a report says, and which events ended as dead letters. Its log is read with `darkroom logs announce`."""

from cloudevents.http import CloudEvent

from darkroom.serving import on_event


@on_event("shop.report.written", "shop.order.placed", "dev.knative.sources.ping")
def announce(event: CloudEvent) -> None:
    if event["type"] == "shop.report.written":
        print(f"{event.data['day']}: {event.data['orders']} orders", flush=True)
    else:
        print(f"given up: {event['type']} {event['id']}", flush=True)
