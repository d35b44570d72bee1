"""Turns a plain function into a well-behaved Knative Service.

`event_function` wraps the work of one job type: it claims, leases, fetches, stores, replies, handles errors and logs;
the function only makes the pixels. `on_event` does the same for events of any type, `asgi.http_function` for functions
that serve HTTP clients. `testing` is the test kit for all of them. Nothing here knows which function it serves, nor
whether it runs in a cluster or in the local runtime.

Nothing is wired at import. A function is built from resources (`build`): by `startup` or by a decorator when
functions-framework is about to serve it, or by a test from in-memory adapters.

The names below are imported on first use, because imports lengthen the cold start, and an HTTP function needs neither
Flask nor the imaging code.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from darkroom.serving.event_handler import on_event
    from darkroom.serving.events import event_function
    from darkroom.serving.picture import Picture, Renditions
    from darkroom.serving.work import Job

_HOMES = {
    "Job": "darkroom.serving.work",
    "Picture": "darkroom.serving.picture",
    "Renditions": "darkroom.serving.picture",
    "event_function": "darkroom.serving.events",
    "on_event": "darkroom.serving.event_handler",
}

__all__ = ["Job", "Picture", "Renditions", "event_function", "on_event"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
