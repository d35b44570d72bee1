"""redis-py, imported without OpenTelemetry.

Where OpenTelemetry is installed redis-py imports it, SDK and all, for metrics of its own that are off unless asked
for: two fifths of what importing it costs, in every function's cold start. Our spans of Redis calls do not need them
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
    """Before the first `import redis` of a process; without effect where either is imported already."""
    if "redis" in sys.modules:
        return
    with _importing, _without(*_BARRED):
        import redis  # noqa: F401 - for what comes after


@contextmanager
def _without(*names: str) -> Iterator[None]:
    """To whoever imports one of these meanwhile, it is not installed."""
    barred = [name for name in names if name not in sys.modules]
    for name in barred:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in barred:
            del sys.modules[name]
