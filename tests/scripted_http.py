"""An HTTP server that answers as a test says, also in ways that no sound server would."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, kw_only=True)
class Reply:
    status: int = 202
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    declared_bytes: int | None = None
    """Content-Length, where it is to be a lie; the connection is closed after the body."""
    hangs_up: bool = False
    """Close the connection without a word."""
    resets: bool = False
    """Reset the connection, as the kernel does for a process that is gone."""
    answers_after_s: float = 0
    waits_for: threading.Event | None = None
    """Answer nothing until this is set, and close the connection then."""


@dataclass(frozen=True, kw_only=True)
class Received:
    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes


@dataclass
class ScriptedServer:
    url: str = ""
    replies: list[Reply] = field(default_factory=list)
    """One for each request, in order; the last one for all that follow."""
    received: list[Received] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, request: Received) -> Reply:
        with self._lock:
            self.received.append(request)
            return self.replies[min(len(self.received), len(self.replies)) - 1]


@contextmanager
def scripted_server(*replies: Reply) -> Iterator[ScriptedServer]:
    script = ScriptedServer(replies=list(replies))
    with answering_server(script.take) as script.url:
        yield script


@contextmanager
def answering_server(answer: Callable[[Received], Reply], *, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """A server that asks `answer`, in the connection's own thread, what to reply; yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", "0")))
            reply = answer(Received(method=self.command, path=self.path, headers=headers, body=body))
            time.sleep(reply.answers_after_s)
            if reply.waits_for is not None and reply.waits_for.wait(30):
                self.close_connection = True
                return
            if reply.resets:
                self.close_connection = True
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                os.close(self.connection.detach())
                return
            if reply.hangs_up:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            length = len(reply.body) if reply.declared_bytes is None else reply.declared_bytes
            self.send_header("Content-Length", str(length))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body)
            self.close_connection = reply.declared_bytes is not None

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - the library's names

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing to the terminal."""

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://{host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
