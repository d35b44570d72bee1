"""Starts a function: reads the environment, sets up logs and telemetry, builds the function, serves it.

A function's `main.py` is one such call. It is executed in gunicorn's master before the workers are forked, so nothing
here connects. The function's `app` module builds it from the given resources, here and in tests.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from darkroom.serving.reporting import begin_reporting
from darkroom.serving.resources import Resources
from darkroom.serving.settings import Settings

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from darkroom.serving.event_endpoint import EventEndpoint
    from darkroom.serving.framework import View

Endpoint = TypeVar("Endpoint", bound="Callable[[Request], Awaitable[Response]]")


def start(*, needs: frozenset[str]) -> Resources:
    """Return the settings and lazy resources of this process. Raises SettingsError, which names what is missing or
    wrong.
    """
    settings = Settings.load(needs=needs)
    begin_reporting(settings.service, log_level=settings.log_level)
    return Resources(settings)


def serve_http(build: Callable[[Resources], Endpoint], *, needs: frozenset[str]) -> Endpoint:
    """Serve what `build` makes, under its own name, on functions-framework's ASGI server. Raises SettingsError."""
    import functions_framework.aio

    from darkroom.serving import asgi_server, framework_answers

    asgi_server.install()
    framework_answers.install()
    endpoint = build(start(needs=needs))
    functions_framework.aio.http(endpoint)
    return endpoint


def serve_events(build: Callable[[Resources], EventEndpoint], *, needs: frozenset[str]) -> View:
    """Serve what `build` makes, under its own name, to Triggers. Raises SettingsError."""
    from darkroom.serving.framework import serve_endpoint

    return serve_endpoint(build(start(needs=needs)))
