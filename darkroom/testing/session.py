"""What one pytest session shares: the nats-server, which starts with the first Broker, and how long everything took."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from darkroom.testing.broker import Broker
from darkroom.testing.clocks import CLOCKS, ClockName
from darkroom.testing.errors import TestingError
from darkroom.testing.project import open_project
from darkroom.testing.server import NatsServer


@dataclass(kw_only=True)
class Session:
    """Starts Brokers. With pytest-xdist each worker has a session of its own."""

    folder: Path
    rootdir: Path
    imports_s: float = 0.0
    """How long the imports took."""
    ready_s: list[float] = field(default_factory=list)
    """For each Broker; the first one's time includes the nats-server's."""
    _server: NatsServer | None = None

    @contextmanager
    def broker(
        self,
        project: str | Path | None = None,
        *,
        manifests: Sequence[str | Path] = (),
        processes: bool = False,
        clock: ClockName = "skip",
        settings: Mapping[str, str] | None = None,
    ) -> Iterator[Broker]:
        """Run the Brokers of a project; relative paths are below pytest's rootdir.

        Raises TestingError, and what the runtime raises if it cannot start.
        """
        if clock not in CLOCKS:
            raise TestingError(f"there is no clock {clock!r}; there is {', '.join(CLOCKS)}")
        began = time.perf_counter()
        found = open_project(self.rootdir / (project or "."), [self.rootdir / path for path in manifests])
        broker = Broker(found, self._running_server(), processes=processes, clock=clock, settings=settings)
        self.ready_s.append(time.perf_counter() - began)
        try:
            yield broker
        finally:
            broker.close()

    @property
    def server_pid(self) -> int | None:
        """The nats-server's process; None before the first Broker."""
        return None if self._server is None else self._server.pid

    def _running_server(self) -> NatsServer:
        if self._server is None:
            self._server = NatsServer(self.folder)
        return self._server

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None
