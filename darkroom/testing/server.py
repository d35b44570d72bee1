"""The nats-server of a test run: one real server, with an account for each Broker that is in use at a time.

Accounts share nothing: neither streams nor subjects. So tests see only their own events, and a Broker costs a test a
connection and a stream instead of a server.
"""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from urllib.parse import urlsplit

import nats
import nats.errors
from nats.aio.client import Client

from darkroom.local.children.logs import LogDirectory
from darkroom.local.children.servers import ServerHome, nats_server
from darkroom.local.children.supervision import SupervisedServer
from darkroom.local.reporting import Report, report_nothing
from darkroom.testing.errors import TestingError
from darkroom.testing.thread import RuntimeThread

MAX_BROKERS = 32
"""How many Brokers can be in use at a time."""


class NatsServer:
    """Starts with the first Broker of a run, and ends with the run."""

    def __init__(self, folder: Path, report: Report = report_nothing) -> None:
        self.folder = folder
        self.thread = RuntimeThread()
        self._report = report
        self._password = secrets.token_urlsafe(24)
        self._free = [f"test{number}" for number in range(MAX_BROKERS)]
        self._logs = LogDirectory(folder / "logs")
        self._server = self._planned()
        parts = urlsplit(self._server.url)
        self._address = f"{parts.hostname}:{parts.port}"
        self._brokers = 0
        began = time.perf_counter()
        try:
            self.thread.run(self._server.start())
        except BaseException:
            self._end_thread()
            raise
        self.ready_s = time.perf_counter() - began
        """Seconds until the server answered."""

    def _planned(self) -> SupervisedServer:
        try:
            home = ServerHome(data_dir=self.folder, logs=self._logs, report=self._report)
            return nats_server(home, password=self._password, accounts=tuple(self._free))
        except BaseException:
            self._end_thread()
            raise

    @property
    def pid(self) -> int | None:
        return self._server.pid

    def next_folder(self) -> Path:
        """Create a folder of its own for one Broker."""
        self._brokers += 1
        folder = self.folder / f"broker-{self._brokers}"
        folder.mkdir(mode=0o700)
        return folder

    def take_account(self) -> str:
        """Return an account that nobody uses."""
        if not self._free:
            raise TestingError(f"{MAX_BROKERS} Brokers are in use, which is the limit; end some before starting others")
        return self._free.pop(0)

    def url(self, account: str) -> str:
        return f"nats://{account}:{self._password}@{self._address}"

    async def connect(self, account: str) -> Client:
        """Connect to an account. Raises nats.errors.Error at once if that fails."""
        return await nats.connect(self.url(account), name="darkroom-testing", allow_reconnect=False)

    async def give_back(self, account: str, connection: Client) -> None:
        """Delete an account's streams, with their events and consumers, so that another Broker can have it.

        An account that cannot be emptied is not used again.
        """
        jetstream = connection.jetstream()
        try:
            for stream in await jetstream.streams_info():
                await jetstream.delete_stream(stream.config.name or "")
        except nats.errors.Error as exc:
            self._report("testing.account_not_emptied", account=account, error=repr(exc))
            return
        self._free.append(account)

    def stop(self) -> None:
        try:
            self.thread.run(self._server.stop())
        finally:
            self._end_thread()

    def _end_thread(self) -> None:
        self.thread.stop()
        self._logs.close()
