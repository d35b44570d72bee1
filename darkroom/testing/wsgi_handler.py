"""Delivers events to a WSGI application in the test's own process, without a server or a port."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from darkroom.events.cloudevents import CloudEvent
from darkroom.local.eventing.subscribers import Attempt, attempt_of, request_of

WsgiApplication: TypeAlias = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def wsgi(application: WsgiApplication, path: str = "/") -> Callable[[CloudEvent], Attempt]:
    """Return a handler that posts each event to an application, as the Broker would, and judges its answer:

    broker.subscribe("confirm", wsgi(functions_framework.create_app("confirm", "functions/confirm/main.py")))
    """

    def handle(event: CloudEvent) -> Attempt:
        headers, body = request_of(event)
        started: dict[str, Any] = {}

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], Any]:
            started.update(status=int(status.split()[0]), headers={name.lower(): value for name, value in headers})
            return written.append

        written: list[bytes] = []
        answer = application(_environ(path, headers, body), start_response)
        try:
            written.extend(answer)
        finally:
            if hasattr(answer, "close"):
                answer.close()
        return attempt_of(started["status"], started["headers"], b"".join(written))

    return handle


def _environ(path: str, headers: dict[str, str], body: bytes) -> dict[str, Any]:
    """Return the environment of a request (PEP 3333)."""
    fields = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    return {
        **fields,
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "CONTENT_TYPE": headers.get("content-type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
