"""Confirms an order. It fails those that are worth nothing, and answers those of a rude customer as it should not."""

from __future__ import annotations

import functions_framework
from cloudevents.conversion import to_binary
from cloudevents.http import CloudEvent, from_http
from flask import Request
from flask.typing import ResponseReturnValue


@functions_framework.http
def confirm(request: Request) -> ResponseReturnValue:
    order = from_http(request.headers, request.get_data())
    if order.data["total"] == 0:
        return "nothing to confirm", 503
    if order.data.get("customer") == "rude":
        return "OK", 200
    attributes = {"type": "shop.order.confirmed", "source": "/shop/confirm", "datacontenttype": "application/json"}
    headers, body = to_binary(CloudEvent(attributes, {"order": order.data["order"]}))
    return body, 200, headers
