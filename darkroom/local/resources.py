"""The servers beside the functions: those that the project file requires, or the user's own instead."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from darkroom.local.children import postgres, servers
from darkroom.local.children.logs import LogDirectory
from darkroom.local.children.servers import S3Credentials, ServerHome
from darkroom.local.children.supervision import Server, start_all, stop_all
from darkroom.local.errors import LocalRuntimeError
from darkroom.local.reporting import Report
from darkroom.local.run_folder import RunFolder
from darkroom.manifests.project import Project, ProjectServer, S3ProjectServer


@dataclass(frozen=True, kw_only=True)
class ServerPorts:
    nats: int
    redis: int
    s3: int
    postgres: int


@dataclass(frozen=True, kw_only=True)
class ExternalServers:
    """URLs of the user's own servers. They replace ours, and are used even if the project file does not list them."""

    nats: str | None = None
    redis: str | None = None
    s3: str | None = None
    postgres: str | None = None


class ResourceServers:
    """Runs NATS always, and the other servers if the project file or the user names them."""

    def __init__(
        self, project: Project, external: ExternalServers, folder: RunFolder, *, is_private: bool = False
    ) -> None:
        """`is_private`: NATS and Redis ask for a password, as S3 always does."""
        self._configured = project.resources
        self._external = external
        self._folder = folder
        self._is_private = is_private
        self._credentials: S3Credentials | None = None
        self.servers: dict[str, Server] = {}

    async def start(self, logs: LogDirectory, ports: ServerPorts, report: Report) -> None:
        home = ServerHome(data_dir=self._folder.path, logs=logs, report=report)
        self.servers["nats"] = self._nats(home, ports.nats)
        if self._configured.redis is not None or self._external.redis is not None:
            self.servers["redis"] = self._redis(home, ports.redis)
        if self._configured.s3 is not None or self._external.s3 is not None:
            self.servers["s3"] = self._s3(home, ports.s3, self._configured.s3 or S3ProjectServer())
        if self._configured.postgres is not None or self._external.postgres is not None:
            self.servers["postgres"] = self._postgres(home, ports.postgres)
        await start_all(list(self.servers.values()))

    async def stop(self) -> None:
        await stop_all(list(self.servers.values()))

    @property
    def urls(self) -> Mapping[str, str]:
        return {name: server.url for name, server in self.servers.items()}

    @property
    def runs_own_s3(self) -> bool:
        return "s3" in self.servers and self._external.s3 is None

    def variables(self) -> dict[str, str]:
        """Return the variables that replace the addresses and Secrets of the functions' manifests."""
        variables: dict[str, str] = {}
        for name, server in self.servers.items():
            configured: ProjectServer | None = getattr(self._configured, name)
            if configured is not None:
                variables |= configured.variables(url=server.url, **self._s3_values(configured))
        return variables

    def _s3_values(self, configured: ProjectServer) -> dict[str, str]:
        if not isinstance(configured, S3ProjectServer) or self._credentials is None:
            return {}
        credentials = self._credentials
        return {
            "access_key": credentials.access_key,
            "secret_key": credentials.secret_key,
            "bucket": configured.bucket,
        }

    def _password(self) -> str:
        return self._folder.password() if self._is_private else ""

    def _nats(self, home: ServerHome, port: int) -> Server:
        if self._external.nats is not None:
            return servers.external_nats(self._external.nats, home.report)
        return servers.nats_server(home, port=port, password=self._password())

    def _redis(self, home: ServerHome, port: int) -> Server:
        if self._external.redis is not None:
            return servers.external_redis(self._external.redis, home.report)
        return servers.redis_server(home, port=port, password=self._password())

    def _postgres(self, home: ServerHome, port: int) -> Server:
        if self._external.postgres is not None:
            return postgres.external_postgres(self._external.postgres, home.report)
        return postgres.postgres_server(home, port=port)

    def _s3(self, home: ServerHome, port: int, configured: S3ProjectServer) -> Server:
        if self._external.s3 is not None:
            self._credentials = _credentials_from_environment()
            return servers.external_s3(self._external.s3, home.report)
        self._credentials = self._folder.s3_credentials()
        return servers.s3_server(home, credentials=self._credentials, bucket=configured.bucket, port=port)


def _credentials_from_environment() -> S3Credentials:
    """Read the credentials of the user's S3 server. Raises LocalRuntimeError if one is not set."""
    try:
        return S3Credentials(access_key=os.environ["STORAGE_ACCESS_KEY"], secret_key=os.environ["STORAGE_SECRET_KEY"])
    except KeyError as exc:
        raise LocalRuntimeError(f"{exc.args[0]} is not set; an S3 server of your own needs your credentials") from exc
