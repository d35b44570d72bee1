"""Serves ingest, which `app` builds."""

from darkroom.serving.startup import serve_http
from functions.ingest.app import build

ingest = serve_http(build, needs=frozenset({"REDIS_URL", "BUCKET_NAME"}))
