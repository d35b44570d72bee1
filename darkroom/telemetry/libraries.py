"""Spans of Redis calls, by OpenTelemetry's own instrumentation of redis.

Not of HTTP: the spans of requests are `requests`' and those of events `deliveries`', because they begin a trace and
carry route and job, and the package for ASGI would add one span for each message of a body. Those of S3 are
`storage`'s: the adapter is no library that a package could know.
"""

from __future__ import annotations

from importlib.util import find_spec

from opentelemetry.trace import TracerProvider


def instrument_libraries(provider: TracerProvider) -> None:
    """Those that are installed; what there is to fit was fitted by the extra `telemetry`."""
    if find_spec("redis"):
        from opentelemetry.instrumentation.redis import RedisInstrumentor

        RedisInstrumentor().instrument(tracer_provider=provider, skip_dep_check=True)
