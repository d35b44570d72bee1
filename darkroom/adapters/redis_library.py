"""Imports redis-py without OpenTelemetry.

Where OpenTelemetry is installed, redis-py imports it, SDK included, for metrics of its own that are off by default: two
fifths of its import time, in every function's cold start. Our spans of Redis calls do not need them
(`darkroom.telemetry`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_BARRED = ("opentelemetry.metrics", "opentelemetry.sdk.metrics")
_importing = Lock()


def load() -> None:
    """Call before the first `import redis` of a process. Without effect where either library is imported already."""
    if "redis" in sys.modules:
        return
    with _importing, _without(*_BARRED):
        import redis  # noqa: F401 - for later imports


@contextmanager
def _without(*names: str) -> Iterator[None]:
    """Make these modules look uninstalled while the block runs."""
    barred = [name for name in names if name not in sys.modules]
    for name in barred:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in barred:
            del sys.modules[name]
