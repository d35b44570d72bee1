"""The PostgreSQL server of the local runtime: as root and as any other user."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import psycopg
import pytest

from darkroom.local.children import postgres, supervision
from darkroom.local.children.logs import LogDirectory
from darkroom.local.children.processes import Identity, native_command
from darkroom.local.children.servers import ServerHome
from darkroom.local.children.supervision import SupervisedServer
from darkroom.local.errors import StartFailedError
from tests.integration.local.waiting import Reports, is_running, until

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up root's rights")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data of a server that was started once."""
    folder = tmp_path_factory.mktemp("prepared")

    async def start_once() -> None:
        logs = LogDirectory(folder / "logs")
        async with running(postgres.postgres_server(ServerHome(data_dir=folder, logs=logs, report=Reports()))):
            pass
        logs.close()

    asyncio.run(start_once())
    return folder / "postgres"


@pytest.fixture
def home(tmp_path: Path, prepared: Path, logs: LogDirectory, reports: Reports) -> ServerHome:
    """With data that are there already: to make them takes seconds."""
    (tmp_path / "data").mkdir()
    subprocess.run(["cp", "-a", str(prepared), str(tmp_path / "data")], check=True)
    return ServerHome(data_dir=tmp_path / "data", logs=logs, report=reports)


@asynccontextmanager
async def running(server: SupervisedServer) -> AsyncIterator[SupervisedServer]:
    await supervision.start_all([server])
    try:
        yield server
    finally:
        await supervision.stop_all([server])


def ask(url: str, question: str) -> str:
    with psycopg.connect(url, autocommit=True, connect_timeout=20) as connection:
        answer = connection.execute(question).fetchone()
    return str(answer[0]) if answer else ""


def tell(url: str, *orders: str) -> None:
    with psycopg.connect(url, autocommit=True, connect_timeout=20) as connection:
        for order in orders:
            connection.execute(order)


async def test_what_was_committed_survives_a_kill_and_the_next_start(home: ServerHome, reports: Reports) -> None:
    async with running(postgres.postgres_server(home)) as server:
        tell(server.url, "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (1)")
        assert server.pid is not None
        psutil.Process(server.pid).kill()
        await reports.wait_for("server.restarted")
        assert ask(server.url, "SELECT n FROM kept") == "1"
        settings = [ask(server.url, f"SHOW {name}") for name in ("fsync", "synchronous_commit", "full_page_writes")]
        assert settings == ["on", "on", "on"]
    async with running(postgres.postgres_server(home)) as again:
        assert ask(again.url, "SELECT n FROM kept") == "1"


async def test_a_stop_waits_for_no_client_and_needs_no_recovery(home: ServerHome, tmp_path: Path) -> None:
    server = postgres.postgres_server(home)
    async with running(server):
        client = psycopg.connect(server.url)
        pid = server.pid
    client.close()
    assert pid is not None
    assert not is_running(pid)
    (log,) = (tmp_path / "logs").glob("postgres*")
    assert "database system is shut down" in log.read_text()


async def test_nobody_gets_in_without_the_password(home: ServerHome) -> None:
    async with running(postgres.postgres_server(home)) as server:
        with pytest.raises(psycopg.OperationalError, match="password"):
            ask(server.url.replace(":" + server.url.split(":")[2].split("@")[0], ""), "SELECT 1")
    assert (home.folder("postgres") / "password").stat().st_mode & 0o077 == 0


@as_root
async def test_as_root_it_runs_with_the_rights_of_a_user_that_is_there(home: ServerHome) -> None:
    """The folder of the test is root's alone, as /root is."""
    users = pwd.getpwall()
    async with running(postgres.postgres_server(home)) as server:
        uids = psutil.Process(server.pid).uids()
    assert 0 not in uids
    assert pwd.getpwall() == users


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder to which every user can go."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


PROGRAM = """
import asyncio, os, sys
from pathlib import Path
from darkroom.local.children import postgres, supervision
from darkroom.local.children.logs import LogDirectory
from darkroom.local.children.processes import Identity, native_command
from darkroom.local.children.servers import ServerHome

async def main():
    folder = Path(sys.argv[1])
    report = lambda action, **fields: None
    home = ServerHome(data_dir=folder / "data", logs=LogDirectory(folder / "logs"), report=report)
    server = postgres.postgres_server(home)
    await supervision.start_all([server])
    print(os.getuid(), server.pid, server.url, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.mark.slow
def test_without_roots_rights_it_runs_as_whoever_starts_it_and_dies_with_him(open_folder: Path) -> None:
    uid = os.getuid() or 65534
    identity = Identity(uid=uid, gid=65534) if os.getuid() == 0 else None
    environment = {"PATH": os.environ["PATH"], "HOME": str(open_folder), "PYTHONPATH": str(Path.cwd())}
    command = native_command(
        sys.executable, "-c", PROGRAM, str(open_folder), env=environment, cwd=open_folder, identity=identity
    )
    runtime = subprocess.Popen(command.argv, env=command.env, cwd=command.cwd, stdout=subprocess.PIPE, text=True)
    assert runtime.stdout is not None
    with runtime, runtime.stdout:
        runs_as, pid, url = runtime.stdout.readline().split()
        assert int(runs_as) == uid == psutil.Process(int(pid)).uids().effective
        assert ask(url, "SELECT 1") == "1"
        runtime.send_signal(signal.SIGKILL)
    asyncio.run(until(lambda: not is_running(int(pid)), "the server is gone"))


async def test_data_of_another_major_version_is_left_alone(home: ServerHome) -> None:
    home = replace(home, data_dir=home.data_dir / "of another")
    data = home.folder("postgres") / "data"
    data.mkdir()
    (data / "PG_VERSION").write_text("12\n")
    with pytest.raises(StartFailedError, match="made by PostgreSQL 12"):
        await postgres.postgres_server(home).start()
    assert [file.name for file in data.iterdir()] == ["PG_VERSION"]


def sleeper() -> subprocess.Popen[bytes]:
    """Of the server's own user: PostgreSQL sees by itself that it may not signal those of others."""
    return subprocess.Popen(["sleep", "600"], user=65534 if os.geteuid() == 0 else None)


async def test_a_lock_whose_process_id_another_program_has_keeps_nobody_out(home: ServerHome) -> None:
    async with running(postgres.postgres_server(home)):
        lock = home.folder("postgres") / "data" / "postmaster.pid"
        lines = lock.read_text().splitlines()
    other = sleeper()
    try:
        lock.write_text("\n".join([str(other.pid), *lines[1:]]))
        async with running(postgres.postgres_server(home)) as server:
            assert ask(server.url, "SELECT 1") == "1"
    finally:
        other.kill()
        other.wait()
