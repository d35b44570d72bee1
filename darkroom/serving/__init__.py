"""What turns a plain function into a good Knative citizen.

`event_function` wraps the work of one kind of job: claim, lease, fetching, storing, replying, errors and logs are ours,
the pixels are the function's. `on_event` does so for events of any kind, `asgi.http_function` for functions that answer
people. `testing` is the kit for tests of all of them. Nothing here knows which function it serves, nor whether it runs
in a cluster or in the local runtime.

Nothing is wired at import: a function is built from resources (`build`), by `startup` or by a decorator where
functions-framework is about to serve it, by a test from adapters in memory.

The names below are imported when they are asked for: imports are the cold start, and a function that answers people
needs neither Flask nor the picture work.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from darkroom.serving.event_handler import on_event
    from darkroom.serving.events import event_function
    from darkroom.serving.picture import Picture
    from darkroom.serving.work import Job

_HOMES = {
    "Job": "darkroom.serving.work",
    "Picture": "darkroom.serving.picture",
    "event_function": "darkroom.serving.events",
    "on_event": "darkroom.serving.event_handler",
}

__all__ = ["Job", "Picture", "event_function", "on_event"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
