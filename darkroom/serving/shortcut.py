"""Routes events past Flask, whose routing, contexts and response objects they do not need.

These would take as long as claiming the job. Flask still handles everything that is not a Trigger's POST.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

from darkroom.errors import RequestTimeoutError, must_pass
from darkroom.serving.log import get_logger

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = get_logger()


@dataclass(frozen=True, kw_only=True)
class HttpAnswer:
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


Handle = Callable[[Mapping[str, str], bytes], HttpAnswer]
"""Takes headers with names in lower case, and the body."""


class EventShortcut:
    """WSGI middleware (PEP 3333), installed around `app.wsgi_app` as Flask's documentation describes."""

    def __init__(self, app: WSGIApplication, handle: Handle) -> None:
        self._app = app
        self._handle = handle

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] != "POST" or environ.get("PATH_INFO") not in ("", "/"):
            return self._app(environ, start_response)
        try:
            # What gunicorn raises for a broken body is gunicorn's to answer: logged here, it would repeat the body.
            body = _body(environ)
        except ConnectionError:
            log.warning("request.incomplete")
            start_response("500 Internal Server Error", [("content-length", "0")])
            return [b""]
        try:
            answer = self._handle(_headers(environ), body)
        except BaseException as exc:
            if must_pass(exc):
                raise
            log.exception("request.crashed")
            answer = HttpAnswer(status=500)
        status = HTTPStatus(answer.status)
        headers = [*answer.headers.items(), ("content-length", str(len(answer.body)))]
        if status is HTTPStatus.NO_CONTENT:
            headers.pop()  # RFC 9110, section 8.6
        start_response(f"{status.value} {status.phrase}", headers)
        return [answer.body]


def _headers(environ: WSGIEnvironment) -> dict[str, str]:
    headers = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")}
    if content_type := environ.get("CONTENT_TYPE"):
        headers["content-type"] = content_type
    return headers


def _body(environ: WSGIEnvironment) -> bytes:
    """Read the body. A chunked body has no length; gunicorn ends it itself.

    Raises ConnectionError for an incomplete body, RequestTimeoutError for one that stops, and gunicorn's own errors.
    """
    length, stream = environ.get("CONTENT_LENGTH"), environ["wsgi.input"]
    if not length and not environ.get("wsgi.input_terminated"):
        return b""
    try:
        body: bytes = stream.read(int(length)) if length else stream.read()
    except TimeoutError as exc:
        raise RequestTimeoutError("the body stopped coming") from exc
    if length and len(body) < int(length):
        raise ConnectionError(f"the body ended after {len(body)} of {length} bytes")
    return body
