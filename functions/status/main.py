"""Serves status, which `app` builds."""

from darkroom.serving.startup import serve_http
from functions.status.app import build

status = serve_http(build, needs=frozenset({"REDIS_URL", "BUCKET_NAME"}))
