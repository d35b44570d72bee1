"""Serves notify, which `app` builds."""

from darkroom.serving.startup import serve_events
from functions.notify.app import build

notify = serve_events(build, needs=frozenset({"REDIS_URL"}))
