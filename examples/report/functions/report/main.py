"""Writes a report whenever the PingSource says so: how many orders the day has had. The reply goes to the Broker."""

import os

import redis
from cloudevents.http import CloudEvent

from darkroom.serving import on_event


@on_event("dev.knative.sources.ping")
def report(event: CloudEvent) -> CloudEvent:
    day = event["time"][:10]
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as store:
        orders = store.scard(f"orders:{day}")
    # The id follows from the ping's: a report that is written twice is dropped as a duplicate.
    attributes = {"type": "shop.report.written", "source": "/shop/report", "id": f"{event['id']}-report"}
    return CloudEvent(attributes, {"day": day, "orders": orders})
