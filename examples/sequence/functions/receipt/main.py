"""The last step: writes the receipt. Nobody waits for an answer, so there is none."""

from __future__ import annotations

import flask
import functions_framework
from cloudevents.http import from_http


@functions_framework.http
def receipt(request: flask.Request) -> flask.typing.ResponseReturnValue:
    event = from_http(dict(request.headers), request.get_data())
    order = event.data
    print(f"order {event['id']}: {order['count']} x {order['item']} = {order['total_cents'] / 100:.2f}", flush=True)
    return "", 204
