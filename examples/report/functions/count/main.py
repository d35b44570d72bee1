"""Counts the orders of each day. An order that is delivered twice counts once: a set keeps their ids, not a number."""

import os

import redis
from cloudevents.http import CloudEvent

from darkroom.serving import on_event

KEPT_S = 7 * 24 * 3600


@on_event("shop.order.placed")
def count(event: CloudEvent) -> None:
    day = event["time"][:10]
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as store:
        store.sadd(f"orders:{day}", event["id"])
        store.expire(f"orders:{day}", KEPT_S)
