"""The second step: puts a price to an order. It fails for items that have none, and the channel tries again."""

from __future__ import annotations

import flask
import functions_framework
from cloudevents.http import CloudEvent, from_http, to_binary

PRICES_CENTS = {"lamp": 1990, "tray": 650, "tongs": 320}


@functions_framework.http
def price(request: flask.Request) -> flask.typing.ResponseReturnValue:
    event = from_http(dict(request.headers), request.get_data())
    order = event.data
    if order["item"] not in PRICES_CENTS:
        # 503: perhaps the price is known later. After the last retry the order is a dead letter.
        return f"there is no price for {order['item']}", 503
    total = PRICES_CENTS[order["item"]] * order["count"]
    priced = CloudEvent(
        {"type": "shop.order.priced", "source": "/shop/price", "id": event["id"]}, {**order, "total_cents": total}
    )
    headers, body = to_binary(priced)
    return body, 200, headers
