"""The emission's HTTP, against a server that says byte for byte what a sink may say."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
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
    """The connection, after each answer."""
    url: str = ""
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    ended: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    """Once for each connection that has ended."""
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
def raw_server(answer: bytes, *, closes: bool = False, tls: ssl.SSLContext | None = None) -> Iterator[RawServer]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        scheme = "http" if tls is None else "https"
        url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
        server = RawServer(answer=answer, closes=closes, url=url, tls=tls)
        threading.Thread(target=server.serve, args=(listener,), daemon=True).start()
        yield server


def post(sink: Sink, *, body: bytes = b"{}", timeout_s: float = PATIENCE_S, **headers: str) -> int:
    return sink.post(headers, body, timeout_s=timeout_s)


def test_a_request_is_what_was_asked_for_byte_for_byte() -> None:
    with raw_server(TAKEN) as server:
        sink = Sink(f"{server.url}/darkroom/broker?x=1")
        assert post(sink, body=b'{"a": 1}', a="b", c="d e") == 202
        sink.close()
    host = server.url.removeprefix("http://")
    wanted = (
        f'POST /darkroom/broker?x=1 HTTP/1.1\r\nhost: {host}\r\na: b\r\nc: d e\r\ncontent-length: 8\r\n\r\n{{"a": 1}}'
    )
    assert server.requests == [wanted.encode()]


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


def test_what_only_announces_an_answer_is_none() -> None:
    with raw_server(b"HTTP/1.1 100 Continue\r\n\r\n" + TAKEN) as server:
        sink = Sink(server.url)
        assert [post(sink), post(sink)] == [202, 202]
        sink.close()
    assert server.connections == 1


def test_an_answer_without_end_is_not_read_for_its_status() -> None:
    endless = b"HTTP/1.1 202 Accepted\r\nContent-Length: 999999999\r\n\r\n" + b"x" * 100_000
    with raw_server(endless) as server:
        assert post(Sink(server.url)) == 202
    assert server.connections == 1


def test_a_connection_that_ends_before_the_answer_is_an_error() -> None:
    with raw_server(b"HTTP/1.1 202 Acc", closes=True) as server, pytest.raises(ConnectionError):
        post(Sink(server.url))


def test_what_is_no_http_is_an_error() -> None:
    with raw_server(b"SSH-2.0-OpenSSH_9.2\r\n") as server, pytest.raises(UnreadableAnswerError):
        post(Sink(server.url))


def test_an_answer_that_trickles_has_no_more_time_than_one_that_does_not_come() -> None:
    class Trickling(RawServer):
        def _answer(self, accepted: socket.socket) -> None:
            with accepted, suppress(OSError):
                _read_request(accepted)
                for byte in TAKEN:
                    accepted.sendall(bytes([byte]))
                    time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Trickling(answer=TAKEN)
        threading.Thread(target=server.serve, args=(listener,), daemon=True).start()
        with pytest.raises(TimeoutError):
            post(Sink(f"http://127.0.0.1:{listener.getsockname()[1]}"), timeout_s=0.3)


@pytest.mark.parametrize("value", ["a\r\nce-id: forged", "a\nb", "a\rb"])
def test_a_header_cannot_be_forged_by_what_is_in_another(value: str) -> None:
    with raw_server(TAKEN) as server, pytest.raises(ValueError, match="one line"):
        post(Sink(server.url), a=value)
    assert server.connections == 0


def test_a_server_that_speaks_no_tls_is_no_https_sink() -> None:
    with raw_server(TAKEN) as server, pytest.raises(OSError, match=r"SSL|record|timed out|handshake"):
        post(Sink(server.url.replace("http://", "https://")), timeout_s=1.0)
    assert server.requests == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a server at 127.0.0.1 that is its own authority; its key lies beside it."""
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
