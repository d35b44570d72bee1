"""How an event function's WSGI server (gunicorn) treats malformed requests.

functions-framework chooses the server and has no options for it; `install` puts a subclass of its gunicorn application
in its place. gunicorn answers a malformed head with what it could not parse, in HTML, and logs it: either may hold a
key. It also joins a repeated header with commas, and believes FORWARDED_ALLOW_IPS. Connections have no bounds here: a
worker has one request, and behind queue-proxy or the local activator every request comes as a whole head.
"""

from __future__ import annotations

import socket
import uuid
from typing import Any

import functions_framework._http.gunicorn as framework_server
from gunicorn.http import get_parser
from gunicorn.http.errors import NoMoreData, ParseException
from gunicorn.util import close_graceful, write_nonblock
from gunicorn.workers.gthread import ThreadWorker
from gunicorn.workers.sync import SyncWorker

from darkroom.connections import Repeats
from darkroom.errors import DarkroomError, InternalError, RequestMalformedError, RequestTimeoutError
from darkroom.http_fields import refuse_repeated
from darkroom.problems import problem
from darkroom.serving.log import get_logger
from darkroom.serving.raw_answers import raw_answer

SILENCE_S = 10.0
"""How long a client may pause within a head or a body. gunicorn's own timeout ends the worker for a whole request."""

log = get_logger()
_malformed = Repeats(lambda count: log.warning("http.malformed", count=count))


class _Reserved:
    """Answers errors of the protocol without repeating what caused them."""

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        error = _answered_error(exc)
        try:
            write_nonblock(client, raw_answer(problem(error, request_id=str(uuid.uuid4()))))
        except OSError:
            log.debug("http.answer_not_sent")


class EventWorker(_Reserved, SyncWorker):  # type: ignore[misc]
    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Do as SyncWorker does, with a deadline, and without a traceback for each client that goes away."""
        client.settimeout(SILENCE_S)
        try:
            _refuse_other_protocols(client)
            self.handle_request(listener, next(get_parser(self.cfg, client, addr)), client, addr)
        except (NoMoreData, StopIteration):
            log.debug("http.client_gone")
        except TimeoutError:
            self.handle_error(None, client, addr, RequestTimeoutError(f"nothing came for {SILENCE_S:g} s, the limit"))
        except OSError as exc:
            log.debug("http.connection_broken", error=type(exc).__name__)
        except BaseException as exc:
            self.handle_error(None, client, addr, exc)
        finally:
            close_graceful(client)

    def handle_request(self, listener: Any, req: Any, client: Any, addr: Any) -> None:
        _refuse_repeated(req)
        super().handle_request(listener, req, client, addr)


class ThreadedEventWorker(_Reserved, ThreadWorker):  # type: ignore[misc]
    def handle_request(self, req: Any, conn: Any) -> Any:
        _refuse_repeated(req)
        conn.sock.settimeout(SILENCE_S)
        return super().handle_request(req, conn)


class EventApplication(framework_server.GunicornApplication):
    def load_config(self) -> None:
        super().load_config()  # type: ignore[no-untyped-call]
        self.cfg.set("worker_class", EventWorker if self.cfg.threads == 1 else ThreadedEventWorker)
        self.cfg.set("forwarded_allow_ips", "")
        # gunicorn's own default; functions-framework takes the limit away. An event's target is short.
        self.cfg.set("limit_request_line", 4094)


def install() -> None:
    """Serve the function of this process with `EventApplication`: functions-framework looks the class up by name."""
    framework_server.GunicornApplication = EventApplication  # type: ignore[misc]


def _refuse_other_protocols(client: socket.socket) -> None:
    """Refuse what begins with no letter, such as TLS. gunicorn would wait for the end of its first line."""
    first = client.recv(1, socket.MSG_PEEK)
    if first and not first.isalpha() and first not in b"\r\n":
        _malformed.happened()
        raise RequestMalformedError("the request does not begin with a method; this port speaks HTTP without TLS")


def _refuse_repeated(req: Any) -> None:
    refuse_repeated(name.lower() for name, _ in req.headers)


def _answered_error(exc: BaseException) -> DarkroomError:
    if isinstance(exc, DarkroomError):
        return exc
    if isinstance(exc, ParseException):
        _malformed.happened()
        return RequestMalformedError(f"the request could not be parsed ({type(exc).__name__})")
    log.error("http.failed", exc_info=exc)
    return InternalError(f"the request could not be handled ({type(exc).__name__})")
