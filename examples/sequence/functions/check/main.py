"""The first step: lets orders pass that name an item. What it does not answer with an event goes no further."""

from __future__ import annotations

import flask
import functions_framework
from cloudevents.http import CloudEvent, from_http, to_binary


@functions_framework.http
def check(request: flask.Request) -> flask.typing.ResponseReturnValue:
    event = from_http(dict(request.headers), request.get_data())
    order = event.data
    if not order.get("item") or order.get("count", 0) < 1:
        print(f"order {event['id']} names no item", flush=True)
        return "", 204
    checked = CloudEvent({"type": "shop.order.checked", "source": "/shop/check", "id": event["id"]}, order)
    headers, body = to_binary(checked)
    return body, 200, headers
