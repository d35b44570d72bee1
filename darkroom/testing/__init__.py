"""Tests of functions with the Broker and the Triggers of the project's own YAML, by a pytest plugin.

    def test_an_order_is_confirmed(broker):
        broker.subscribe("confirm", lambda event: None)
        broker.send("shop.order.placed", {"order": 7})

        assert [event.json() for event in broker.received("confirm")] == [{"order": 7}]

The fixture runs on the parts of the local runtime (`darkroom.local`) and a real nats-server;
docs/testing-your-functions.md explains it. The kit that calls one function without a Broker is
`darkroom.serving.testing`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from darkroom.events.cloudevents import CloudEvent
    from darkroom.testing.broker import Broker
    from darkroom.testing.recorder import DeliveryAttempt, LostEvent
    from darkroom.testing.session import Session
    from darkroom.testing.wsgi_handler import wsgi

_HOMES = {
    "Broker": "darkroom.testing.broker",
    "CloudEvent": "darkroom.events.cloudevents",
    "DeliveryAttempt": "darkroom.testing.recorder",
    "LostEvent": "darkroom.testing.recorder",
    "Session": "darkroom.testing.session",
    "wsgi": "darkroom.testing.wsgi_handler",
}

__all__ = ["Broker", "CloudEvent", "DeliveryAttempt", "LostEvent", "Session", "wsgi"]


def __getattr__(name: str) -> Any:
    """Import on first use: pytest imports the plugin beside this in every run."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
