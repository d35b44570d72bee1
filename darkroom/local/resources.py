"""The servers beside the functions: those that the project file asks for, or the user's own in their place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from darkroom.local.children import servers
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


@dataclass(frozen=True, kw_only=True)
class ExternalServers:
    """URLs of servers that the user runs; they are used in the place of ours, and whether or not the project asks."""

    nats: str | None = None
    redis: str | None = None
    s3: str | None = None


class ResourceServers:
    """NATS always; the others where the project file, or the user, names them."""

    def __init__(self, project: Project, external: ExternalServers, folder: RunFolder) -> None:
        self._wanted = project.resources
        self._external = external
        self._folder = folder
        self._credentials: S3Credentials | None = None
        self.servers: dict[str, Server] = {}

    async def start(self, logs: LogDirectory, ports: ServerPorts, report: Report) -> None:
        home = ServerHome(data_dir=self._folder.path, logs=logs, report=report)
        self.servers["nats"] = self._nats(home, ports.nats)
        if self._wanted.redis is not None or self._external.redis is not None:
            self.servers["redis"] = self._redis(home, ports.redis)
        if self._wanted.s3 is not None or self._external.s3 is not None:
            self.servers["s3"] = self._s3(home, ports.s3, self._wanted.s3 or S3ProjectServer())
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
        """What functions find in the place of their manifests' addresses and Secrets."""
        found: dict[str, str] = {}
        for name, server in self.servers.items():
            resource: ProjectServer | None = getattr(self._wanted, name)
            if resource is not None:
                found |= resource.variables(url=server.url, **self._s3_values(resource))
        return found

    def _s3_values(self, resource: ProjectServer) -> dict[str, str]:
        if not isinstance(resource, S3ProjectServer) or self._credentials is None:
            return {}
        credentials = self._credentials
        return {
            "access_key": credentials.access_key,
            "secret_key": credentials.secret_key,
            "bucket": resource.bucket,
        }

    def _nats(self, home: ServerHome, port: int) -> Server:
        if self._external.nats is not None:
            return servers.external_nats(self._external.nats, home.report)
        return servers.nats_server(home, port=port)

    def _redis(self, home: ServerHome, port: int) -> Server:
        if self._external.redis is not None:
            return servers.external_redis(self._external.redis, home.report)
        return servers.redis_server(home, port=port)

    def _s3(self, home: ServerHome, port: int, wanted: S3ProjectServer) -> Server:
        if self._external.s3 is not None:
            self._credentials = _credentials_of_environment()
            return servers.external_s3(self._external.s3, home.report)
        self._credentials = self._folder.s3_credentials()
        return servers.s3_server(home, credentials=self._credentials, bucket=wanted.bucket, port=port)


def _credentials_of_environment() -> S3Credentials:
    """Raises LocalRuntimeError."""
    try:
        return S3Credentials(access_key=os.environ["STORAGE_ACCESS_KEY"], secret_key=os.environ["STORAGE_SECRET_KEY"])
    except KeyError as exc:
        raise LocalRuntimeError(f"{exc.args[0]} is not set; an S3 server of your own needs your credentials") from exc
