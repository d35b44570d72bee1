"""What turns a plain function into a good Knative citizen.

`event_function` wraps the work of one kind of job: claim, lease, fetching, storing, replying, errors and logs are ours,
the pixels are the function's. `asgi.http_function` does the same for functions that answer people. Nothing here knows
which function it serves, nor whether it runs in a cluster or in the local runtime.

The names below are imported when they are asked for: imports are the cold start, and a function that answers people
needs neither Flask nor the picture work.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from darkroom.serving.events import event_function
    from darkroom.serving.picture import Picture
    from darkroom.serving.work import Job

_HOMES = {
    "Job": "darkroom.serving.work",
    "Picture": "darkroom.serving.picture",
    "event_function": "darkroom.serving.events",
}

__all__ = ["Job", "Picture", "event_function"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
