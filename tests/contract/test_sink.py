"""The emission's HTTP, against a server that sends a sink's possible responses byte for byte."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from darkroom.adapters.broker.sink import Sink, UnreadableAnswerError

TAKEN = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
PATIENCE_S = 5.0


@dataclass
class RawServer:
    answer: bytes
    closes: bool = False
    """What happens to the connection after each response."""
    url: str = ""
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    ended: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    """Set once for each connection that has ended."""
    tls: ssl.SSLContext | None = None

    def serve(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                self.connections += 1
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, accepted: socket.socket) -> None:
        with suppress(OSError), self._secured(accepted) as connection:
            while request := _read_request(connection):
                self.requests.append(request)
                connection.sendall(self.answer)
                if self.closes:
                    break
        self.ended.release()

    def _secured(self, accepted: socket.socket) -> socket.socket:
        return accepted if self.tls is None else self.tls.wrap_socket(accepted, server_side=True)


def _read_request(connection: socket.socket) -> bytes:
    read = b""
    while data := connection.recv(65536):
        read += data
        head, end, body = read.partition(b"\r\n\r\n")
        if end and len(body) >= int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]):
            return read
    return b""


@contextmanager
def raw_server(
    answer: bytes, *, closes: bool = False, tls: ssl.SSLContext | None = None, kind: type[RawServer] = RawServer
) -> Iterator[RawServer]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        scheme = "http" if tls is None else "https"
        url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
        server = kind(answer=answer, closes=closes, url=url, tls=tls)
        threading.Thread(target=server.serve, args=(listener,), daemon=True).start()
        yield server


def post(sink: Sink, *, body: bytes = b"{}", timeout_s: float = PATIENCE_S, **headers: str) -> int:
    return sink.post(headers, body, timeout_s=timeout_s)


def test_a_request_has_the_sinks_path_the_event_and_its_length() -> None:
    with raw_server(TAKEN) as server:
        sink = Sink(f"{server.url.replace('http://', 'http://user:secret@')}/darkroom/broker?x=1")
        assert post(sink, body=b'{"a": 1}', a="b", c="d e") == 202
        sink.close()
    [request] = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    assert first == "POST /darkroom/broker?x=1 HTTP/1.1"
    assert (headers["host"], headers["a"], headers["c"]) == (server.url.removeprefix("http://"), "b", "d e")
    assert (headers["content-length"], body) == ("8", b'{"a": 1}')
    assert headers["user-agent"] == "darkroom"
    assert len(lines) == len(headers)


def test_the_environments_proxies_are_not_for_events(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(TAKEN) as server, raw_server(TAKEN) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        sink = Sink(server.url)
        assert post(sink) == 202
        sink.close()
    assert (len(server.requests), proxy.connections) == (1, 0)


def test_a_connection_is_kept_for_the_next_request() -> None:
    with raw_server(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n") as server:
        sink = Sink(server.url)
        assert [post(sink) for _ in range(5)] == [200] * 5
        sink.close()
    assert (server.connections, len(server.requests)) == (1, 5)


def test_each_of_several_threads_has_a_connection_of_its_own_while_it_needs_one() -> None:
    with raw_server(TAKEN) as server:
        sink = Sink(server.url)
        statuses: list[int] = []
        threads = [threading.Thread(target=lambda: statuses.extend(post(sink) for _ in range(50))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        sink.close()
    assert statuses == [202] * 400
    assert server.connections <= 8


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 202 Accepted\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 202 Accepted\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 202 Accepted\r\n\r\nuntil the end",
    ],
)
def test_a_connection_that_the_sink_ends_is_not_used_again(answer: bytes) -> None:
    with raw_server(answer, closes=True) as server:
        sink = Sink(server.url)
        assert [post(sink), post(sink)] == [202, 202]
    assert server.connections == 2


def test_a_kept_connection_that_the_sink_has_closed_meanwhile_is_replaced() -> None:
    with raw_server(TAKEN, closes=True) as server:
        sink = Sink(server.url)
        for _ in range(3):
            assert post(sink) == 202
            assert server.ended.acquire(timeout=PATIENCE_S)
    assert server.connections == 3


def test_100_continue_is_not_the_answer() -> None:
    with raw_server(b"HTTP/1.1 100 Continue\r\n\r\n" + TAKEN) as server:
        sink = Sink(server.url)
        assert [post(sink), post(sink)] == [202, 202]
        sink.close()
    assert server.connections == 1


@pytest.mark.parametrize("status", [b"103 Early Hints", b"102 Processing", b"101 Switching Protocols"])
def test_any_other_announcement_is_an_error_and_what_follows_it_answers_no_other_request(status: bytes) -> None:
    with raw_server(b"HTTP/1.1 " + status + b"\r\n\r\n" + TAKEN) as server:
        sink = Sink(server.url)
        for _ in range(2):
            with pytest.raises(UnreadableAnswerError, match=status[:3].decode()):
                post(sink)
        sink.close()
    assert server.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 202 Accepted\r\nContent-Length: 999999999\r\n\r\n" + b"x" * 100_000, id="a long body"),
        pytest.param(b"HTTP/1.1 202 Accepted\r\n\r\nuntil the end", id="no length"),
        pytest.param(b"HTTP/1.1 202 Accepted\r\nContent-Length: -3\r\n\r\nok", id="no sensible length"),
        pytest.param(
            b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n" + (b"4000\r\n" + b"x" * 16384 + b"\r\n") * 8,
            id="chunks without end",
        ),
    ],
)
def test_an_answer_without_end_is_not_read_for_its_status(answer: bytes) -> None:
    with raw_server(answer) as server:
        sink = Sink(server.url)
        began = time.monotonic()
        assert [post(sink), post(sink)] == [202, 202]
        assert time.monotonic() - began < PATIENCE_S
        sink.close()
    assert server.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 202 Accepted\r\nContent-Length: 9\r\n\r\nok", id="a short body"),
        pytest.param(b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", id="no last chunk"),
        pytest.param(b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n", id="no chunk at all"),
    ],
)
def test_a_body_that_breaks_off_changes_nothing_about_the_status_but_ends_the_connection(answer: bytes) -> None:
    with raw_server(answer, closes=True) as server:
        sink = Sink(server.url)
        assert [post(sink), post(sink)] == [202, 202]
        sink.close()
    assert server.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"HTTP/1.1 202 Acc", id="half a status line"),
        pytest.param(b"HTTP/1.1 202 Accepted\r\n", id="a status line alone"),
        pytest.param(b"HTTP/1.1 202 Accepted\r\nContent-Le", id="half a header"),
        pytest.param(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n", id="no end of the head"),
        pytest.param(b"HTTP/1.1 202 Accepted\r\nConnection: close\r\n", id="no end of the last head"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", id="an announcement alone"),
    ],
)
def test_a_connection_that_ends_within_the_answers_head_is_an_error(answer: bytes) -> None:
    with raw_server(answer, closes=True) as server, pytest.raises(ConnectionError):
        post(Sink(server.url))


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", id="another protocol"),
        pytest.param(b"HTTP/2.0 202 Accepted\r\n\r\n", id="another HTTP"),
        pytest.param(b"HTTP/1.1 2020 Accepted\r\n\r\n", id="no such status"),
        pytest.param(b"HTTP/1.1 202 Accepted\r\nA: " + b"b" * 100_000 + b"\r\n\r\n", id="an endless line"),
        pytest.param(b"HTTP/1.1 202 Accepted\r\n" + b"A: b\r\n" * 1000 + b"\r\n", id="an endless head"),
    ],
)
def test_what_is_no_http_is_an_error(answer: bytes) -> None:
    with raw_server(answer) as server, pytest.raises(UnreadableAnswerError):
        post(Sink(server.url))


class Trickling(RawServer):
    """Sends one byte of its response now and then."""

    def _answer(self, accepted: socket.socket) -> None:
        with suppress(OSError), self._secured(accepted) as connection:
            _read_request(connection)
            for byte in self.answer:
                connection.sendall(bytes([byte]))
                time.sleep(0.05)


def test_an_answer_that_trickles_has_no_more_time_than_one_that_does_not_come() -> None:
    with (
        raw_server(TAKEN, kind=Trickling) as server,
        pytest.raises(TimeoutError, match=r"after \d+\.\d\d s, the limit is 0\.3 s"),
    ):
        post(Sink(server.url), timeout_s=0.3)


def test_a_body_that_trickles_holds_nobody_for_longer_than_the_time_for_the_answer() -> None:
    class TricklingBody(Trickling):
        def _answer(self, accepted: socket.socket) -> None:
            accepted.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 600\r\n\r\n")
            super()._answer(accepted)

    with raw_server(b"x" * 600, kind=TricklingBody) as server:
        began = time.monotonic()
        assert post(Sink(server.url), timeout_s=0.3) == 202
        assert time.monotonic() - began < 15


@pytest.mark.parametrize("value", ["a\r\nce-id: forged", "a\nb", "a\rb"])
def test_a_header_cannot_be_forged_by_what_is_in_another(value: str) -> None:
    with raw_server(TAKEN) as server, pytest.raises(ValueError, match="one line"):
        post(Sink(server.url), a=value)
    assert server.connections == 0


def test_a_server_that_speaks_no_tls_is_no_https_sink() -> None:
    with raw_server(TAKEN) as server, pytest.raises(OSError, match=r"SSL|record|no answer after"):
        post(Sink(server.url.replace("http://", "https://")), timeout_s=1.0)
    assert server.requests == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that is its own authority, with its key beside it."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=sink"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "sink.key", "-out", "sink.crt"]
    subprocess.run([*command.split(), *names], cwd=folder, check=True, capture_output=True)
    return folder / "sink.crt"


def test_an_https_sink_is_one_whose_certificate_is_trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, certificate.with_suffix(".key"))
    with raw_server(TAKEN, tls=tls) as server:
        with pytest.raises(ssl.SSLCertVerificationError):
            post(Sink(server.url))
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        sink = Sink(server.url)
        assert [post(sink), post(sink)] == [202, 202]
        sink.close()
    assert len(server.requests) == 2


def test_an_https_sink_that_trickles_has_no_more_time_either(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, certificate.with_suffix(".key"))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with (
        raw_server(TAKEN, tls=tls, kind=Trickling) as server,
        pytest.raises(TimeoutError, match=r"the limit is 0\.5 s"),
    ):
        post(Sink(server.url), timeout_s=0.5)


_FORK = """
import os, sys
from darkroom.adapters.broker.sink import Sink
sink = Sink(sys.argv[1])
statuses = [sink.post({}, b"parent", timeout_s=5)]
pid = os.fork()
statuses.append(sink.post({}, b"child" if pid == 0 else b"parent", timeout_s=5))
if pid == 0:
    os._exit(0 if statuses == [202, 202] else 1)
_, ended = os.waitpid(pid, 0)
statuses.append(sink.post({}, b"parent", timeout_s=5))
sys.exit(0 if statuses == [202, 202, 202] and ended == 0 else 1)
"""


def test_a_process_that_forks_shares_no_connection_with_its_child() -> None:
    with raw_server(TAKEN) as server:
        subprocess.run([sys.executable, "-c", _FORK, server.url], check=True, timeout=30)
    bodies = sorted(request.rpartition(b"\r\n\r\n")[2] for request in server.requests)
    assert bodies == [b"child", b"parent", b"parent", b"parent"]
    assert server.connections == 2
