"""Registers functions with functions-framework, and detects whether it is about to serve one.

The `http` signature is used, not `cloud_event`: that one drops the return value and answers "200 OK" with a body, which
Knative's channel-based broker takes for a failed delivery.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import flask
import functions_framework

from darkroom.serving.event_endpoint import EventEndpoint
from darkroom.serving.probes import STARTUP_PATH
from darkroom.serving.shortcut import EventShortcut, HttpAnswer

View = Callable[[flask.Request], flask.Response]


def is_serving(name: str) -> bool:
    """Return whether functions-framework is executing a module in order to serve the function of this name.

    It does so within a Flask application context, in gunicorn's master, with the function's name in FUNCTION_TARGET. A
    test or a tool that imports the module has no such context.
    """
    return flask.has_app_context() and os.environ.get("FUNCTION_TARGET") == name


def serve_endpoint(endpoint: EventEndpoint) -> View:
    """Register the endpoint with functions-framework under its name, and route events to it past Flask."""

    def view(request: flask.Request) -> flask.Response:
        if request.method == "GET" and request.path == STARTUP_PATH:
            return _response(endpoint.startup())
        if request.method != "POST":
            return flask.Response(status=405, headers={"allow": "POST"})
        headers = {name.lower(): value for name, value in request.headers.items()}
        return _response(endpoint.answer(headers, request.get_data(cache=False)))

    view.__name__ = endpoint.name
    view.__qualname__ = endpoint.name
    functions_framework.http(view)
    if flask.has_app_context():
        from darkroom.serving import wsgi_server

        wsgi_server.install()
        app = flask.current_app
        # To the server, which answers a broken body without repeating it; Flask would log it with its traceback.
        app.config["PROPAGATE_EXCEPTIONS"] = True
        app.wsgi_app = EventShortcut(app.wsgi_app, endpoint.answer)  # type: ignore[method-assign]
    return view


def _response(answer: HttpAnswer) -> flask.Response:
    return flask.Response(answer.body, status=answer.status, headers=dict(answer.headers))
