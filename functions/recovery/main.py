"""Serves recovery, which `app` builds."""

from darkroom.serving.startup import serve_events
from functions.recovery.app import build

recovery = serve_events(build, needs=frozenset({"REDIS_URL", "NATS_URL", "BUCKET_NAME"}))
