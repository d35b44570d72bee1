"""Records spans of Redis calls with OpenTelemetry's own instrumentation of redis.

HTTP is not instrumented this way. The application opens the spans of requests and events itself, because they begin a
trace and carry the route and the job; the ASGI package would also add one span per message of a body. The storage
adapter records its own S3 calls, because no instrumentation package knows it.
"""

from __future__ import annotations

from importlib.util import find_spec

from opentelemetry.trace import TracerProvider


def instrument_libraries(provider: TracerProvider) -> None:
    """Instrument the libraries that are installed. The extra `telemetry` installs the instrumentation packages."""
    if find_spec("redis"):
        from opentelemetry.instrumentation.redis import RedisInstrumentor

        RedisInstrumentor().instrument(tracer_provider=provider, skip_dep_check=True)
