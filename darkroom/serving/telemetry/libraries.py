"""Spans of S3 and Redis calls, by OpenTelemetry's own instrumentation of botocore and redis.

Not of HTTP: the spans of requests are `darkroom.serving.asgi`'s and those of events `deliveries`', because they begin a
trace, carry route and job, and the packages for ASGI would add one span for each message of a body.
"""

from __future__ import annotations

from importlib.util import find_spec

from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace import TracerProvider


def instrument_libraries(provider: TracerProvider) -> None:
    """Those that are installed; what there is to fit was fitted by the extra `telemetry`."""
    if find_spec("redis"):
        from opentelemetry.instrumentation.redis import RedisInstrumentor

        RedisInstrumentor().instrument(tracer_provider=provider, skip_dep_check=True)
    if find_spec("botocore"):
        from opentelemetry.instrumentation.botocore import BotocoreInstrumentor

        botocore = BotocoreInstrumentor()  # type: ignore[no-untyped-call]
        # S3 servers other than AWS' know nothing of the header that it would send.
        botocore.instrument(tracer_provider=provider, propagator=CompositePropagator([]), skip_dep_check=True)
